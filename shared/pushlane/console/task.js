// One task: where it stands and why, where its time went, and what happens to it as it happens.

import { follow, get } from "./api.js";
import { h } from "./dom.js";
import { ago, duration, percent, time } from "./format.js";
import { figure, figures, heading, notice, pill } from "./parts.js";
import { stream } from "./stream.js";
import { waterfall } from "./waterfall.js";

const AT_REST = ["SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "DEAD_LETTERED"];
const SHOWN = 200;

async function load(view) {
    const id = encodeURIComponent(view.words[1]);
    const [task, why, trace] = await Promise.all([
        get(`tasks/${id}`),
        get(`tasks/${id}/why`),
        get(`tasks/${id}/trace`),
    ]);
    return { task, why, spans: trace.spans, trace: trace.trace_id, now: view.now() };
}

/** Follow the task for as long as its page is open; whatever happens to it also has the page looked at again. */
function open(view) {
    view.told = { events: [], state: "opening", expired: false };
    let waiting = 0;
    const soon = () => {
        clearTimeout(waiting);
        waiting = setTimeout(view.refresh, 300);
    };
    const stop = follow(view.words[1], {
        event(event) {
            view.told.events.push(event);
            view.told.events.splice(0, view.told.events.length - SHOWN);
            soon();
        },
        expired() {
            view.told.expired = true;
            soon();
        },
        state(state) {
            view.told.state = state;
            soon();
        },
        over: () => view.over,
    });
    return () => {
        clearTimeout(waiting);
        stop();
    };
}

function page({ task, why, spans, now }, view) {
    const ended = task.finished_at_ms ?? now;
    const started = task.started_at_ms ?? why.started_at_ms ?? ended;
    view.over = AT_REST.includes(task.status);
    return [
        heading(task.task_type, pill(task.status)),
        h("p", { class: "id" }, task.task_id),
        figures(
            figure("Tenant", h("a", { href: `#/tasks?tenant=${task.tenant_id}` }, task.tenant_id)),
            figure("Tier", task.tier),
            figure("Pool", task.pool),
            figure("Attempts", String(task.epoch)),
            figure("Accepted", time(task.accepted_at_ms, now), { more: `by ${task.door}` }),
            figure("Waited", duration(started - task.accepted_at_ms)),
            task.deadline_ms &&
                figure("Deadline", view.over ? kept(task.deadline_ms, ended) : ago(task.deadline_ms, now), {
                    tone: ended > task.deadline_ms ? "bad" : null,
                    more: task.deadline_kind,
                }),
        ),
        h(
            "section",
            { class: "card", "data-key": "why", "aria-labelledby": "why" },
            h("h2", { id: "why" }, "Why"),
            explained(why),
        ),
        h(
            "section",
            { class: "card", "data-key": "timeline", "aria-labelledby": "timeline" },
            h("h2", { id: "timeline" }, "Where its time went"),
            waterfall(spans, now),
        ),
        h(
            "section",
            { class: "card", "data-key": "events", "aria-labelledby": "events" },
            h("h2", { id: "events" }, "What happens"),
            stream(view.told, view.over),
        ),
        task.status === "DEAD_LETTERED" && h("p", null, h("a", { href: "#/dead-letters" }, "Among the dead letters")),
    ];
}

const kept = (deadline, ended) =>
    ended > deadline ? `missed by ${duration(ended - deadline)}` : `met, ${duration(deadline - ended)} to spare`;

function explained(why) {
    const { place, shares, wait } = why;
    const said = [h("p", { class: "lead" }, `${why.explanation.charAt(0).toUpperCase()}${why.explanation.slice(1)}.`)];
    if (why.error) said.push(notice("bad", h("strong", null, why.error.error_type), `: ${why.error.message}`));
    if (!place || !shares || !wait) return said;
    const place_said = `${place.exact ? "" : "at most "}${place.in_lane} of ${place.lane_depth} in its lane`;
    const late = place.late ? "; it can no longer make its deadline" : "";
    const first = shares.tier_below_share ? ", and is below that: it goes first" : "";
    const estimated = wait.estimated_start_ms ?? null;
    const latest = wait.latest_start_ms ?? null;
    const rows = [
        ["Place", `${place_said}; lanes before it: ${place.lanes_before}${late}`],
        ["Starts", estimated === null ? "cannot be estimated" : `about ${ago(estimated, why.at_ms)}`],
        ["At the latest", latest === null ? "nothing is guaranteed while this lasts" : ago(latest, why.at_ms)],
        ["Its tier has", `at least ${percent(shares.tier_share, 1)} of ${shares.slots} slots${first}`],
        [
            "Its tenant has",
            `${percent(shares.tenant_share, 1)} of the tier; tenants with work in it: ${shares.tenants}`,
        ],
    ];
    return [
        ...said,
        h(
            "dl",
            { class: "facts" },
            rows.map(([name, text]) => [h("dt", null, name), h("dd", null, text)]),
        ),
    ];
}

export default { load, page, open, every_ms: () => 5_000 };
