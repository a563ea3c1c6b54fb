// What happens to a task, as it happens: its event log, the newest first.

import { h } from "./dom.js";
import { duration, time } from "./format.js";

const TEXT_MAX = 300;
// What the page says already, or what is the same in each of its events.
const KNOWN = new Set(["tenant_id", "task_id", "task_type", "tier", "pool", "door", "epoch", "v"]);

export function stream(told, over) {
    const live = told.state === "live" && !over;
    const state = over
        ? "The task is at rest."
        : live
          ? "Live: what happens shows up here by itself."
          : "Opening the stream…";
    const status = h("p", { class: "aside" }, h("span", { class: live ? "beat" : null }), state);
    if (told.events.length === 0) {
        const nothing = told.expired ? "Its events are not kept any more." : "Nothing was said yet.";
        return [status, h("p", { class: "empty" }, nothing)];
    }
    return [
        status,
        h("ol", { class: "events", "aria-label": "Events, the newest first" }, [...told.events].reverse().map(line)),
    ];
}

function line(event) {
    return h(
        "li",
        { "data-key": String(event.sequence) },
        h("span", { class: "number" }, event.sequence),
        time(event.at_ms, event.at_ms),
        h("span", { class: event.origin === "agent" ? "kind agent" : "kind" }, event.kind),
        h("span", { class: "words" }, words(event).join(" · ")),
    );
}

function words({ epoch, data, stale }) {
    const said = epoch ? [`attempt ${epoch}`] : [];
    if (stale) said.push("too late");
    if (data === null || data === undefined) return said;
    if (typeof data !== "object" || Array.isArray(data)) return [...said, short(data)];
    const more = Object.entries(data).filter(
        ([name, value]) => !KNOWN.has(name) && !name.endsWith("_at_ms") && value !== null,
    );
    return [...said, ...more.map(([name, value]) => field(name, value))];
}

function field(name, value) {
    if (name.endsWith("_ms") && typeof value === "number" && value < 1e11)
        return `${label(name.slice(0, -3))} ${duration(value)}`;
    return `${label(name)} ${short(value)}`;
}

const label = (name) => name.replace(/_id$/, "").replaceAll("_", " ");

function short(value) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}
