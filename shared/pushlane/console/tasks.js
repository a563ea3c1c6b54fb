// Tasks of one tenant, the newest first.

import { get } from "./api.js";
import { h } from "./dom.js";
import { ago, duration, short_id, time } from "./format.js";
import { choice, empty, heading, pill, table } from "./parts.js";

const STATUSES = [
    "PARKED",
    "DISPATCHED",
    "WAITING",
    "SUSPENDED",
    "BLOCKED",
    "RETRYING",
    "DEAD_LETTERED",
    "SUCCEEDED",
    "FAILED",
    "CANCELLED",
    "EXPIRED",
];
const TIERS = ["critical", "high", "normal", "low", "background"];
const LIMIT = 50;

async function load(view) {
    const now = view.now();
    const tenants = await view.tenants();
    const tenant = view.caller.tenant_id ?? (view.query.get("tenant") || tenants[0] || null);
    const filter = { status: view.query.get("status"), tier: view.query.get("tier") };
    if (tenant === null) return { tenants, tenant, filter, tasks: [], now };
    const scope = view.caller.tenant_id ? {} : { tenant };
    const found = await get("tasks", { ...scope, ...filter, limit: LIMIT });
    return { tenants, tenant, filter, tasks: found.tasks, now };
}

function page(data, view) {
    const chosen = (more) => view.go("tasks", { tenant: data.tenant, ...data.filter, ...more });
    const named =
        data.tenants.includes(data.tenant) || data.tenant === null ? data.tenants : [data.tenant, ...data.tenants];
    const any = [["", "any"]];
    return [
        heading("Tasks"),
        h(
            "div",
            { class: "filters" },
            !view.caller.tenant_id &&
                named.length > 0 &&
                choice(
                    "Tenant",
                    data.tenant,
                    named.map((one) => [one, one]),
                    (tenant) => chosen({ tenant }),
                ),
            choice(
                "Status",
                data.filter.status ?? "",
                [...any, ...STATUSES.map((one) => [one, one.toLowerCase().replace("_", "-")])],
                (status) => chosen({ status }),
            ),
            choice("Tier", data.filter.tier ?? "", [...any, ...TIERS.map((one) => [one, one])], (tier) =>
                chosen({ tier }),
            ),
            lookup(view),
        ),
        data.tenant === null
            ? empty(h("p", null, "No tenant has done anything yet. Look a task up by its id."))
            : h("section", { class: "card" }, list(data)),
    ];
}

function lookup(view) {
    const input = h("input", {
        id: "task-id",
        name: "task",
        placeholder: "t-…",
        autocomplete: "off",
        spellcheck: "false",
        required: true,
    });
    const found = (event) => {
        event.preventDefault();
        view.go(`tasks/${encodeURIComponent(event.target.elements.task.value.trim())}`);
    };
    return h(
        "form",
        { class: "choice", onsubmit: found },
        h("label", { for: "task-id" }, "Task id"),
        input,
        h("button", null, "Open"),
    );
}

function list({ tasks, tenant, now }) {
    const columns = [
        {
            name: "Task",
            cell: (one) => h("a", { href: `#/tasks/${one.task_id}`, title: one.task_id }, short_id(one.task_id)),
        },
        { name: "Type", cell: (one) => one.task_type },
        { name: "Tier", wide: true, cell: (one) => one.tier },
        { name: "Status", cell: (one) => pill(one.status) },
        { name: "Because", wide: true, cell: (one) => one.park_reason ?? one.error?.error_type ?? "" },
        { name: "Accepted", wide: true, cell: (one) => time(one.accepted_at_ms, now) },
        {
            name: "Waited",
            number: true,
            cell: (one) => duration(left(one, now) - one.accepted_at_ms),
        },
        {
            name: "Deadline",
            wide: true,
            cell: (one) => (one.deadline_ms ? ago(one.deadline_ms, one.finished_at_ms ?? now) : "–"),
        },
    ];
    return table(`Tasks of ${tenant}`, columns, tasks, { key: (one) => one.task_id, empty: "No task of this kind." });
}

/** When it stopped waiting: its start, where that is told already, or when it was sent to its agent. */
const left = (one, now) => one.started_at_ms ?? one.finished_at_ms ?? one.dispatched_at_ms ?? now;

export default { load, page, every_ms: () => 3_000 };
