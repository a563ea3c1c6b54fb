// Where a task's time went: a table of its steps, whose bars only repeat what its figures say.

import { h, svg } from "./dom.js";
import { duration } from "./format.js";

const TONES = [
    ["one", "on its way"],
    ["two", "waits"],
    ["good", "runs"],
    ["bad", "failed"],
];
// Narrower than this nothing can be seen (percent of the whole).
const SHORTEST = 0.6;

export function waterfall(spans, now) {
    if (spans.length === 0) return h("p", { class: "empty" }, "Nothing is known of its way yet.");
    const from = Math.min(...spans.map((one) => one.start_ms));
    const to = Math.max(from + 1, ...spans.map((one) => one.end_ms ?? now));
    const drawn = ordered(spans).map(({ span, depth }) => row(span, depth, { from, to, now }));
    const legend = TONES.map(([tone, said]) => h("li", { class: `key-${tone}` }, said));
    const head = h(
        "tr",
        null,
        h("th", { scope: "col" }, "Step"),
        h("th", { scope: "col", class: "number wide" }, "From"),
        h("th", { scope: "col", class: "number" }, "Took"),
        h("td", { class: "grows" }, h("ul", { class: "legend", "aria-hidden": "true" }, legend)),
    );
    return h(
        "table",
        { class: "waterfall" },
        h("caption", { class: "unseen" }, "The steps of the task in order; times count from its submission"),
        h("thead", null, head),
        h("tbody", null, drawn),
    );
}

/** The spans as a tree, each with how deep it lies in it. */
function ordered(spans) {
    const known = new Set(spans.map((one) => one.span_id));
    const below = new Map();
    for (const one of spans) {
        const above = known.has(one.parent_id) ? one.parent_id : null;
        below.set(above, [...(below.get(above) ?? []), one]);
    }
    const walk = (id, depth) =>
        (below.get(id) ?? [])
            .sort((one, other) => one.start_ms - other.start_ms)
            .flatMap((span) => [{ span, depth }, ...walk(span.span_id, depth + 1)]);
    return walk(null, 0);
}

function row(span, depth, { from, to, now }) {
    const end = Math.max(span.start_ms, span.end_ms ?? now);
    const part = (ms) => (100 * ms) / (to - from);
    const bar = svg("rect", {
        class: `fill-${tone(span)}`,
        x: Math.min(part(span.start_ms - from), 100 - SHORTEST).toFixed(2),
        width: Math.max(SHORTEST, part(end - span.start_ms)).toFixed(2),
        y: 1,
        height: 8,
    });
    const drawn = svg("svg", {
        viewBox: "0 0 100 10",
        preserveAspectRatio: "none",
        "aria-hidden": "true",
        class: "bar",
    });
    drawn.append(bar);
    return h(
        "tr",
        { "data-key": span.span_id },
        h("th", { scope: "row" }, h("span", { class: `step depth-${Math.min(depth, 4)}` }, span.name, who(span))),
        h("td", { class: "number wide" }, `+${duration(span.start_ms - from)}`),
        h(
            "td",
            { class: "number" },
            duration(end - span.start_ms),
            span.end_ms === null && h("small", null, " so far"),
        ),
        h("td", { class: "grows" }, drawn),
    );
}

function who(span) {
    const { agent_id, epoch } = span.attributes ?? {};
    if (span.name !== "run" || !agent_id) return null;
    return h("small", null, ` ${agent_id}${epoch > 1 ? `, attempt ${epoch}` : ""}`);
}

function tone(span) {
    if (span.name.startsWith("task ")) return "whole";
    if (span.status === "error") return "bad";
    if (/^(parked|waiting|suspended|blocked|retrying|dead-lettered)/.test(span.name)) return "two";
    return /^(run|step)/.test(span.name) ? "good" : "one";
}
