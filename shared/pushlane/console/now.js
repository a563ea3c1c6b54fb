// Now: what waits, for whom and how long; who runs it; what is left of what is shared.

import { get } from "./api.js";
import { lines, meter } from "./chart.js";
import { h } from "./dom.js";
import { ago, count, duration, percent, short_id } from "./format.js";
import { empty, figure, figures, heading, notice, pill, table } from "./parts.js";

const POOLS_IN_FULL = 6;
const LANES_SHOWN = 12;
const WINDOW_MS = 15 * 60_000;
const HOUR_MS = 60 * 60_000;
// Samples are taken once a minute: asking more often shows nothing new.
const PAST_KEPT_MS = 20_000;
// Measures come in slices of five seconds.
const MEASURED_KEPT_MS = 5_000;

async function load(view) {
    const only = view.words[1] ?? null;
    const now = view.now();
    const [live, summaries] = await Promise.all([get("live", { pool: only }), measured(view, now)]);
    const pools = [...live.pools].sort(
        (one, other) => other.waiting - one.waiting || one.pool.localeCompare(other.pool),
    );
    const full = pools.slice(0, POOLS_IN_FULL);
    return { only, live, full, rest: pools.slice(POOLS_IN_FULL), past: await past(view, full, now), summaries, now };
}

async function measured(view, now) {
    if (!view.measured || now - view.measured.at_ms >= MEASURED_KEPT_MS) {
        const { summaries } = await get("measures", { from: now - WINDOW_MS, to: now, by: "tenant" });
        view.measured = { at_ms: now, summaries };
    }
    return view.measured.summaries;
}

async function past(view, pools, now) {
    if (view.past && now - view.past.at_ms < PAST_KEPT_MS) return view.past.of;
    const asked = pools.map(async ({ pool }) => {
        const found = await get(`pools/${encodeURIComponent(pool)}/samples`, { from: now - HOUR_MS, to: now });
        return [pool, found.samples];
    });
    view.past = { at_ms: now, of: new Map(await Promise.all(asked)) };
    return view.past.of;
}

function page(data) {
    const { only, live, full, rest, now } = data;
    if (live.agents.length === 0 && live.lanes.length === 0) {
        const title = heading(only ? `Pool ${only}` : "Now");
        return [title, empty(h("p", null, "No pool has an agent yet. Deploy one, and it shows up here by itself."))];
    }
    return [
        heading(only ? `Pool ${only}` : "Now", only && h("a", { href: "#/" }, "All pools")),
        totals(data),
        full.map((pool) => section(pool, data)),
        rest.length > 0 && others(rest),
        h("div", { class: "pair", "data-key": "below" }, slowest(live), shared(live.resources, now)),
    ];
}

function totals({ live, summaries }) {
    const sum = (of) => live.pools.reduce((total, one) => total + of(one), 0);
    const met = total(summaries, "deadline_met");
    const missed = total(summaries, "deadline_missed");
    const dead = total(summaries, "dead_lettered");
    const recent = "last 15 min";
    return figures(
        figure("Slots in use", `${count(sum((one) => one.used))} of ${count(sum((one) => one.slots))}`),
        figure("Waiting", count(sum((one) => one.waiting))),
        figure("Longest wait", duration(Math.max(0, ...live.pools.map((one) => one.longest_wait_ms)))),
        figure("Started", count(total(summaries, "started")), { more: recent }),
        figure("Deadlines met", percent(met, met + missed), { tone: missed ? "bad" : null, more: recent }),
        figure("Dead-lettered", count(dead), { tone: dead ? "bad" : null, more: recent }),
    );
}

const total = (summaries, name) => summaries.reduce((sum, one) => sum + (one.counts[name] ?? 0), 0);

function section(pool, { live, past, now }) {
    const id = `pool-${pool.pool}`;
    const said = `${count(pool.used)} of ${count(pool.slots)} slots in use, ${count(pool.waiting)} waiting`;
    return h(
        "section",
        { class: "card", "data-key": id, "aria-labelledby": id },
        h(
            "header",
            null,
            h("h2", { id }, h("a", { href: `#/pools/${pool.pool}` }, pool.pool)),
            h("p", { class: "aside" }, said),
        ),
        meter(pool.used, pool.slots, `Slots of pool ${pool.pool} in use`),
        idle(past.get(pool.pool) ?? [], now),
        h(
            "div",
            { class: "columns" },
            h(
                "div",
                null,
                h("h3", null, "Who waits"),
                lanes(
                    pool,
                    live.lanes.filter((one) => one.pool === pool.pool),
                ),
            ),
            h(
                "div",
                null,
                h("h3", null, "Who runs it"),
                agents(
                    pool,
                    live.agents.filter((one) => one.pool === pool.pool),
                ),
            ),
        ),
        history(past.get(pool.pool) ?? [], now),
    );
}

/** What waits although it could run, as of the last sample. */
function idle(samples, now) {
    const last = samples.at(-1);
    if (!last || now - last.at_ms > 2 * 60_000 || !last.waiting_with_idle_capacity) return null;
    const waits = last.waiting_with_idle_capacity;
    return notice(
        "warn",
        `${count(waits)} ${waits === 1 ? "task waits" : "tasks wait"} although there was room at the last sample.`,
    );
}

function lanes(pool, found) {
    const shown = found.slice(0, LANES_SHOWN);
    const most = Math.max(1, ...found.map((one) => one.waiting));
    const waits = (one) => `#/tasks?tenant=${one.tenant_id}&status=PARKED&tier=${one.tier}`;
    const columns = [
        { name: "Tenant", cell: (one) => h("a", { href: waits(one) }, one.tenant_id) },
        { name: "Tier", cell: (one) => one.tier },
        { name: "Waiting", number: true, cell: (one) => count(one.waiting) },
        {
            name: "",
            grows: true,
            wide: true,
            cell: (one) => meter(one.waiting, most, `Tasks of ${one.tenant_id} that wait, ${one.tier}`, true),
        },
        { name: "Longest", number: true, cell: (one) => duration(one.oldest_wait_ms) },
    ];
    const key = (one) => `${one.tier}/${one.tenant_id}/${one.capabilities}/${one.resources}`;
    const more = found.length - shown.length;
    return [
        table(`Lanes of pool ${pool.pool}`, columns, shown, { key, empty: "Nothing waits." }),
        more > 0 && h("p", { class: "aside" }, `${count(more)} more lanes`),
    ];
}

function agents(pool, found) {
    const columns = [
        { name: "Agent", cell: (one) => one.agent_id },
        { name: "Slots", number: true, cell: (one) => `${one.used} of ${one.slots}` },
        {
            name: "",
            grows: true,
            wide: true,
            cell: (one) => meter(one.used, one.slots, `Slots of ${one.agent_id} in use`),
        },
        { name: "Endpoint", wide: true, cell: (one) => one.endpoint },
        { name: "State", cell: (one) => pill(one.status) },
    ];
    return table(`Agents of pool ${pool.pool}`, columns, found, { key: (one) => one.agent_id, empty: "No agent." });
}

function history(samples, now) {
    const points = (of) => samples.map((one) => [one.at_ms, of(one)]);
    const series = [
        { name: "waiting", tone: "two", points: points((one) => one.waiting) },
        { name: "slots in use", tone: "one", points: points((one) => one.used) },
    ];
    return lines({ title: "The last hour", from: now - HOUR_MS, to: now, step: 60_000, series, say: count });
}

function others(pools) {
    const columns = [
        { name: "Pool", cell: (one) => h("a", { href: `#/pools/${one.pool}` }, one.pool) },
        { name: "Slots", number: true, cell: (one) => `${one.used} of ${one.slots}` },
        { name: "Waiting", number: true, cell: (one) => count(one.waiting) },
        { name: "Longest", number: true, cell: (one) => duration(one.longest_wait_ms) },
    ];
    const listed = table("Other pools", columns, pools, { key: (one) => one.pool });
    return h(
        "section",
        { class: "card", "data-key": "others", "aria-labelledby": "others" },
        h("h2", { id: "others" }, "Other pools"),
        listed,
    );
}

function slowest(live) {
    const columns = [
        {
            name: "Task",
            cell: (one) => h("a", { href: `#/tasks/${one.task_id}`, title: one.task_id }, short_id(one.task_id)),
        },
        { name: "Tenant", cell: (one) => one.tenant_id },
        { name: "Tier", wide: true, cell: (one) => one.tier },
        {
            name: "Waits",
            number: true,
            cell: (one) => h("span", { class: one.late ? "bad" : null }, duration(one.waited_ms), one.late && ", late"),
        },
    ];
    const listed = table("Tasks that wait longest", columns, live.slowest, {
        key: (one) => one.task_id,
        empty: "Nothing waits.",
    });
    const about = h("p", { class: "aside" }, "Each one's page says why.");
    const head = h("header", null, h("h2", { id: "slowest" }, "Waiting longest"), live.slowest.length > 0 && about);
    return h("section", { class: "card", "data-key": "slowest", "aria-labelledby": "slowest" }, head, listed);
}

function shared(resources, now) {
    const allows = (one) =>
        one.burst === undefined ? `${count(one.limit)} at a time` : `${count(one.limit)} a minute`;
    const paused = (one) =>
        one.paused_until_ms > now && h("small", { class: "bad" }, ` paused, ends ${ago(one.paused_until_ms, now)}`);
    const columns = [
        { name: "Resource", cell: (one) => [one.name, paused(one)] },
        { name: "Allows", wide: true, cell: allows },
        { name: "Used", number: true, cell: (one) => `${count(one.used)} of ${count(one.burst ?? one.limit)}` },
        { name: "", grows: true, cell: (one) => meter(one.used, one.burst ?? one.limit, `${one.name} in use`) },
    ];
    const listed = table("Shared resources", columns, resources, {
        key: (one) => one.name,
        empty: "The policy names none.",
    });
    return h(
        "section",
        { class: "card", "data-key": "resources", "aria-labelledby": "resources" },
        h("h2", { id: "resources" }, "Shared resources"),
        listed,
    );
}

export default { load, page, every_ms: () => 2_000 };
