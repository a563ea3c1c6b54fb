// Tenants: how long their tasks wait to be started, whether their deadlines hold, and whether each gets its share.

import { get } from "./api.js";
import { bars, lines, roundUpTime } from "./chart.js";
import { h } from "./dom.js";
import { count, duration, percent } from "./format.js";
import { choice, empty, figure, figures, heading, table } from "./parts.js";

const MINUTE_MS = 60_000;
const WINDOWS = [
    ["15", "15 minutes"],
    ["60", "one hour"],
    ["360", "six hours"],
    ["1440", "one day"],
];
const CHARTED = 4;
const PARTS = [
    ["ingest", "Taken in"],
    ["dispatch", "Dispatch"],
];

async function load(view) {
    const minutes = WINDOWS.some(([one]) => one === view.query.get("window")) ? view.query.get("window") : "60";
    const to = view.now();
    const from = to - Number(minutes) * MINUTE_MS;
    const { summaries } = await get("measures", { from, to, by: "tenant" });
    const ranked = [...summaries].sort((one, other) => started(other) - started(one));
    const named = view.query.get("tenant");
    const chosen = named ? ranked.filter((one) => one.tenant_id === named) : ranked.slice(0, CHARTED);
    const charted = await Promise.all(chosen.map((one) => byMinute(view, one, from, to)));
    return { minutes, from, to, ranked, named, charted };
}

async function byMinute(view, summary, from, to) {
    const tenant = view.caller.tenant_id ? undefined : summary.tenant_id;
    const said = await get("measures", { from, to, by: "minute", tenant });
    return { summary, points: said.summaries };
}

const started = (one) => one.counts.started ?? 0;

function page(data, view) {
    const title = view.caller.tenant_id ? "Latency and deadlines" : "Tenants";
    const set = (window) => view.go("tenants", { window, tenant: data.named ?? "" });
    const head = heading(
        title,
        choice("Time", data.minutes, WINDOWS, set),
        data.named && h("a", { href: `#/tenants?window=${data.minutes}` }, "All tenants"),
    );
    if (data.ranked.length === 0)
        return [
            head,
            empty(
                h(
                    "p",
                    null,
                    "Nothing was measured in this time. Figures come in a few seconds after a task has started.",
                ),
            ),
        ];
    const more = data.ranked.length - data.charted.length;
    return [
        head,
        h(
            "section",
            { class: "card", "data-key": "all", "aria-labelledby": "all" },
            h("h2", { id: "all" }, "At a glance"),
            glance(data),
        ),
        data.charted.map((one) => section(one, data)),
        !data.named && more > 0 && h("p", { class: "aside" }, `${count(more)} more without charts: choose one above.`),
    ];
}

function glance(data) {
    const cost = data.ranked.reduce((sum, one) => sum + one.cost, 0);
    const weight = data.ranked.reduce((sum, one) => sum + (one.weight ?? 1), 0);
    const pickup = (one, name) => duration(one.latencies.pickup?.[name]);
    const columns = [
        {
            name: "Tenant",
            cell: (one) => h("a", { href: `#/tenants?window=${data.minutes}&tenant=${one.tenant_id}` }, one.tenant_id),
        },
        { name: "Started", number: true, wide: true, cell: (one) => count(started(one)) },
        { name: "Pickup p50", number: true, cell: (one) => pickup(one, "p50_ms") },
        { name: "p95", number: true, wide: true, cell: (one) => pickup(one, "p95_ms") },
        { name: "p99", number: true, cell: (one) => pickup(one, "p99_ms") },
        { name: "Deadlines met", number: true, cell: deadlines },
        { name: "Retried", number: true, wide: true, cell: (one) => count(one.counts.retried ?? 0) },
        { name: "Dead", number: true, wide: true, cell: (one) => count(one.counts.dead_lettered ?? 0) },
        { name: "Cost share", number: true, wide: true, cell: (one) => percent(one.cost, cost) },
        { name: "Its weight", number: true, wide: true, cell: (one) => percent(one.weight ?? 1, weight) },
    ];
    return table("Tenants at a glance", columns, data.ranked, { key: (one) => one.tenant_id });
}

function deadlines(one) {
    const met = one.counts.deadline_met ?? 0;
    const missed = one.counts.deadline_missed ?? 0;
    return h("span", { class: missed ? "bad" : null }, percent(met, met + missed));
}

function section({ summary, points }, { from, to }) {
    const id = `tenant-${summary.tenant_id}`;
    const of = (name) =>
        points.filter((one) => one.latencies.pickup).map((one) => [one.from_ms, one.latencies.pickup[name]]);
    const counted = (name) => points.filter((one) => one.counts[name]).map((one) => [one.from_ms, one.counts[name]]);
    const whole = (round, ms) => round(ms / MINUTE_MS) * MINUTE_MS;
    const span = { from: whole(Math.floor, from), to: whole(Math.ceil, to), step: MINUTE_MS };
    return h(
        "section",
        { class: "card", "data-key": id, "aria-labelledby": id },
        h("h2", { id }, summary.tenant_id),
        figures(
            figure("Started", count(started(summary))),
            figure("Run time, p50", duration(summary.latencies.run?.p50_ms)),
            ...where(summary).map(([name, said]) => figure(name, said.value, { more: said.more })),
        ),
        h(
            "div",
            { class: "columns" },
            lines({
                ...span,
                title: "From acceptance to start",
                say: duration,
                round: roundUpTime,
                series: [
                    { name: "p99", tone: "three", points: of("p99_ms") },
                    { name: "p95", tone: "two", points: of("p95_ms") },
                    { name: "p50", tone: "one", points: of("p50_ms") },
                ],
            }),
            bars({
                ...span,
                title: "Deadlines",
                say: count,
                series: [
                    { name: "met", tone: "good", points: counted("deadline_met") },
                    { name: "missed", tone: "bad", points: counted("deadline_missed") },
                ],
            }),
        ),
    );
}

/** Where a tenant's tasks spent their time before they started. */
function where(summary) {
    const parked = Object.entries(summary.latencies).filter(([name]) => name.startsWith("parked."));
    const named = [
        ...PARTS.map(([name, said]) => [name, said]),
        ...parked.map(([name]) => [name, `Parked: ${name.slice(7)}`]),
    ];
    return named
        .filter(([name]) => summary.latencies[name]?.count)
        .map(([name, said]) => [
            said,
            {
                value: duration(summary.latencies[name].p50_ms),
                more: `p99 ${duration(summary.latencies[name].p99_ms)}`,
            },
        ]);
}

// A long time is much to read, and changes little.
const EVERY_MS = { 15: 10_000, 60: 15_000, 360: 60_000, 1440: 300_000 };

export default { load, page, every_ms: (view) => EVERY_MS[view.query.get("window")] ?? EVERY_MS[60] };
