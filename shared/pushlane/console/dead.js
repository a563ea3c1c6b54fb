// Dead letters: tasks whose retries are used up, with what went wrong; brought back or given up.

import { all, get, post, Refused } from "./api.js";
import { h } from "./dom.js";
import { ago, count, short_id, time } from "./format.js";
import { ask, choice, empty, heading } from "./parts.js";

const MOST = 200;

async function load(view) {
    const pool = view.query.get("pool") ?? "";
    const tenant = view.query.get("tenant") ?? "";
    const pools = view.caller.of_installation ? (await get("pools")).pools.map((one) => one.pool) : [];
    const tenants = await view.tenants();
    const { found, more } = await all("dead-letters", { pool, tenant, limit: 100 }, "tasks", MOST);
    return { pool, tenant, pools, tenants, found, more, now: view.now() };
}

function page(data, view) {
    const chosen = (more) => view.go("dead-letters", { pool: data.pool, tenant: data.tenant, ...more });
    const any = [["", "any"]];
    const many = data.found.length;
    return [
        heading(
            "Dead letters",
            many > 0 && h("span", { class: "aside" }, `${count(many)}${data.more ? " or more" : ""}`),
        ),
        h(
            "p",
            { class: "intro" },
            "Their retries are used up, and they rest here. Redriven, a task goes through admission again like any ",
            "retry; discarded, it has failed for good.",
        ),
        h(
            "div",
            { class: "filters" },
            view.caller.of_installation &&
                choice("Pool", data.pool, [...any, ...data.pools.map((one) => [one, one])], (pool) => chosen({ pool })),
            view.caller.of_installation &&
                choice("Tenant", data.tenant, [...any, ...data.tenants.map((one) => [one, one])], (tenant) =>
                    chosen({ tenant }),
                ),
            many > 1 &&
                h(
                    "button",
                    { class: "strong", onclick: () => redriveAll(data.found, view) },
                    `Redrive all ${count(many)}`,
                ),
        ),
        many === 0
            ? empty(h("p", null, "No dead letters. Nothing that was accepted has used its retries up."))
            : h(
                  "ul",
                  { class: "letters" },
                  data.found.map((one) => letter(one, view, data.now)),
              ),
    ];
}

function letter(one, view, now) {
    const id = `dead-${one.task_id}`;
    const attempts = one.history.map((attempt) =>
        h(
            "li",
            null,
            `Attempt ${attempt.epoch}${attempt.agent_id ? ` on ${attempt.agent_id}` : ""}, `,
            time(attempt.at_ms, now),
            h("br"),
            h("strong", null, attempt.type),
            `: ${attempt.message}`,
        ),
    );
    return h(
        "li",
        { class: "card letter", "data-key": one.task_id },
        h(
            "header",
            null,
            h("h2", { id }, h("a", { href: `#/tasks/${one.task_id}`, title: one.task_id }, one.task_type)),
            h(
                "p",
                { class: "aside" },
                `${one.tenant_id}, ${one.tier}, pool ${one.pool}, died ${ago(one.died_at_ms, now)}`,
                one.redrives > 0 && `, redriven before: ${one.redrives}`,
            ),
        ),
        h(
            "p",
            { class: "error" },
            h("strong", null, one.error_type || "No error was said"),
            one.error_message && `: ${one.error_message}`,
        ),
        attempts.length > 0 &&
            h(
                "details",
                null,
                h(
                    "summary",
                    null,
                    `${count(attempts.length)} failed ${attempts.length === 1 ? "attempt" : "attempts"}`,
                    h("span", { class: "unseen" }, ` of task ${short_id(one.task_id)}`),
                ),
                h("ol", { class: "attempts" }, attempts),
            ),
        h(
            "div",
            { class: "buttons" },
            h("button", { class: "strong", "aria-describedby": id, onclick: () => redrive(one, view) }, "Redrive"),
            h("button", { "aria-describedby": id, onclick: () => discard(one, view) }, "Discard"),
        ),
    );
}

async function redrive(one, view) {
    await done(
        view,
        () => post(`dead-letters/${one.task_id}/redrive`, { epoch: one.epoch }),
        `Task ${short_id(one.task_id)} is on its way again.`,
    );
}

async function discard(one, view) {
    const sure = await ask(
        `Discard this ${one.task_type} of ${one.tenant_id}?`,
        "It ends as failed, and so does what waits for it. This cannot be taken back.",
        "Discard it",
    );
    if (sure)
        await done(
            view,
            () => post(`dead-letters/${one.task_id}/discard`, { epoch: one.epoch, reason: "discarded in the console" }),
            `Task ${short_id(one.task_id)} was given up.`,
        );
}

async function redriveAll(found, view) {
    const sure = await ask(
        `Redrive ${count(found.length)} tasks?`,
        "They go through admission one by one, like retries; what has not been repaired will fail again.",
        "Redrive them",
    );
    if (!sure) return;
    let risen = 0;
    await done(
        view,
        async () => {
            for (const one of found) {
                try {
                    await post(`dead-letters/${one.task_id}/redrive`, { epoch: one.epoch });
                    risen += 1;
                } catch (error) {
                    // Somebody else may have been faster with this one; what else is wrong is wrong for all.
                    if (!(error instanceof Refused) || error.status !== 409) throw error;
                }
            }
        },
        () => `${count(risen)} of ${count(found.length)} tasks are on their way again.`,
    );
}

async function done(view, act, said) {
    try {
        await act();
        view.say(typeof said === "function" ? said() : said);
    } catch (error) {
        view.say(`Not done: ${error.message}`, "bad");
    }
    await view.refresh();
}

export default { load, page, every_ms: () => 5_000 };
