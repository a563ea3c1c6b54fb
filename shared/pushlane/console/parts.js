// What several views are made of.

import { h } from "./dom.js";

const TONES = {
    SUCCEEDED: "good",
    ACTIVE: "good",
    DISPATCHED: "busy",
    WAITING: "busy",
    PARKED: "calm",
    BLOCKED: "calm",
    SUSPENDED: "calm",
    RETRYING: "warn",
    DRAINING: "warn",
    CANCELLED: "calm",
    EXPIRED: "bad",
    FAILED: "bad",
    DEAD_LETTERED: "bad",
    UNAVAILABLE: "bad",
};

export const pill = (status) =>
    h("span", { class: `pill ${TONES[status] ?? "calm"}` }, status.toLowerCase().replaceAll("_", "-"));

/** A table. `columns`: `{name, cell, number, wide}`; `wide` ones are left out where the screen is narrow. */
export function table(caption, columns, rows, { key, empty = "None." } = {}) {
    if (rows.length === 0) return h("p", { class: "empty" }, empty);
    const kind = (one) =>
        [one.number && "number", one.wide && "wide", one.grows && "grows"].filter(Boolean).join(" ") || null;
    // A column of bars repeats the figures beside it, and needs no name.
    const head = columns.map((one) =>
        one.name ? h("th", { scope: "col", class: kind(one) }, one.name) : h("td", { class: kind(one) }),
    );
    const cells = (row) =>
        columns.map((one, place) =>
            h(place ? "td" : "th", { scope: place ? null : "row", class: kind(one) }, one.cell(row)),
        );
    return h(
        "table",
        null,
        h("caption", { class: "unseen" }, caption),
        h("thead", null, h("tr", null, head)),
        h(
            "tbody",
            null,
            rows.map((row) => h("tr", { "data-key": key ? key(row) : null }, cells(row))),
        ),
    );
}

export const figure = (name, value, { tone, more } = {}) =>
    h(
        "div",
        { class: "figure" },
        h("dt", null, name),
        h("dd", { class: tone ?? null }, value, more && h("small", null, more)),
    );

export const figures = (...them) => h("dl", { class: "figures-row" }, them);

export const notice = (tone, ...said) => h("p", { class: `notice ${tone}` }, said);

export const empty = (...said) => h("div", { class: "nothing" }, said);

/** A choice that changes the address, so that it can be kept and sent. */
export function choice(name, value, options, chosen) {
    const id = `choose-${name.toLowerCase().replaceAll(" ", "-")}`;
    const list = options.map(([one, said]) => h("option", { value: one, selected: one === value }, said));
    return h(
        "span",
        { class: "choice" },
        h("label", { for: id }, name),
        h("select", { id, onchange: (event) => chosen(event.target.value) }, list),
    );
}

export const heading = (title, ...beside) => h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, title), beside);

/** A question that has to be answered before something is done that cannot be taken back. */
export function ask(question, detail, word) {
    return new Promise((answered) => {
        const form = h(
            "form",
            { method: "dialog" },
            h("h2", { id: "ask-title" }, question),
            h("p", null, detail),
            h(
                "div",
                { class: "buttons" },
                h("button", { value: "no" }, "Not now"),
                h("button", { value: "yes", class: "strong" }, word),
            ),
        );
        const dialog = h("dialog", { "aria-labelledby": "ask-title" }, form);
        dialog.onclose = () => {
            dialog.remove();
            answered(dialog.returnValue === "yes");
        };
        document.body.append(dialog);
        dialog.showModal();
    });
}
