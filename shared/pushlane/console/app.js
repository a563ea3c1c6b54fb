// The page itself: which view the address means, when it is loaded again, and with whose key.

import { get, key, Refused } from "./api.js";
import { draw, h } from "./dom.js";
import { heading, notice } from "./parts.js";

// A view's module comes when it is first opened: whoever looks in briefly loads one.
const NOW = { name: "Now", path: "", for: (who) => who.of_installation, module: () => import("./now.js") };
const TENANTS = { name: "Tenants", path: "tenants", for: () => true, module: () => import("./tenants.js") };
const TASKS = { name: "Tasks", path: "tasks", for: () => true, module: () => import("./tasks.js") };
const TASK = { name: "Tasks", path: "tasks", for: () => true, module: () => import("./task.js") };
const DEAD = {
    name: "Dead letters",
    path: "dead-letters",
    for: (who) => who.role !== "producer",
    module: () => import("./dead.js"),
};
const MENU = [NOW, TENANTS, TASKS, DEAD];
const VIEWS = { "": NOW, pools: NOW, tenants: TENANTS, tasks: TASKS, "dead-letters": DEAD };
const SAID_MS = 8_000;
const SLOWER_MS_MAX = 30_000;
const HOUR_MS = 3_600_000;
const KNOWN_MS = 60_000;
const main = document.getElementById("main");
let caller = null;
let ahead_ms = 0;
let current = null;
let known = { at_ms: 0, tenants: [] };

function address() {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    return { words: path.split("/").map(plain), query: new URLSearchParams(query ?? "") };
}

function plain(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text; // somebody has typed a lone percent sign
    }
}

function chosen(words) {
    if (words[0] === "tasks" && words[1]) return TASK;
    const found = VIEWS[words[0]] ?? NOW;
    return found.for(caller) ? found : TENANTS;
}

/** One visit of a view: it is loaded, drawn, loaded again after a while, and left. */
class Visit {
    constructor(kind, words, query) {
        Object.assign(this, { kind, words, query, caller, timer: 0, failures: 0 });
        Object.assign(this, { left: false, busy: false, again: false, drawn: false });
        this.refresh = this.refresh.bind(this);
        this.close = () => {};
    }

    async begin() {
        this.view = (await this.kind.module()).default;
        if (this.left) return;
        this.close = this.view.open?.(this) ?? this.close;
        await this.refresh();
    }

    now = () => Date.now() + ahead_ms;
    say = say;

    go(path, query = {}) {
        const said = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
        location.hash = `#/${path}${said.size ? `?${said}` : ""}`;
    }

    /** Tenants that something was measured of in the last hour; the caller's own where it has one. */
    async tenants() {
        if (caller.tenant_id) return [caller.tenant_id];
        const to = this.now();
        if (to - known.at_ms > KNOWN_MS) {
            const { summaries } = await get("measures", { from: to - HOUR_MS, to, by: "tenant" });
            known = { at_ms: to, tenants: [...new Set(summaries.map((one) => one.tenant_id))].sort() };
        }
        return known.tenants;
    }

    async refresh() {
        if (this.left || !this.view) return;
        clearTimeout(this.timer);
        if (this.busy) {
            this.again = true;
            return;
        }
        this.busy = true;
        try {
            const data = await this.view.load(this);
            if (!this.left) this.show(this.view.page(data, this));
            this.failures = 0;
        } catch (error) {
            if (!(error instanceof Refused)) throw error;
            if (!this.left) this.refused(error);
        } finally {
            this.busy = false;
            this.later();
        }
    }

    show(nodes) {
        draw(main, ...nodes);
        document.title = `${main.querySelector("h1")?.textContent ?? "Pushlane"} · Pushlane`;
        main.removeAttribute("aria-busy");
        if (!this.drawn && visits > 1) main.querySelector("h1")?.focus();
        this.drawn = true;
        live(true);
    }

    refused(error) {
        if (error.status === 401) {
            key.forget();
            start("That key is not, or no longer, valid.");
            return;
        }
        this.failures += 1;
        live(false);
        if (this.drawn) return;
        const again = h("button", { onclick: this.refresh }, "Try again");
        draw(
            main,
            heading(error.title),
            notice("bad", error.message),
            h("p", { class: "aside" }, error.request && `Request ${error.request}`),
            again,
        );
        main.removeAttribute("aria-busy");
    }

    later() {
        if (this.left || document.hidden) return;
        const every_ms = this.view.every_ms(this);
        const pause = this.again ? 0 : Math.min(Math.max(SLOWER_MS_MAX, every_ms), every_ms * 2 ** this.failures);
        this.again = false;
        this.timer = setTimeout(this.refresh, pause);
    }

    leave() {
        this.left = true;
        clearTimeout(this.timer);
        this.close();
    }
}

let visits = 0;

function visit() {
    if (location.hash && !location.hash.startsWith("#/")) return;
    const { words, query } = address();
    current?.leave();
    const kind = chosen(words);
    visits += 1;
    if (current?.kind !== kind || current.words.join("/") !== words.join("/")) {
        main.setAttribute("aria-busy", "true");
        if (current) draw(main, heading("Loading"));
    }
    menu(kind);
    current = new Visit(kind, words, query);
    current.begin();
}

function menu(kind) {
    const entry = (one) => {
        const here = one.path === kind.path ? "page" : null;
        return h("li", null, h("a", { href: `#/${one.path}`, "aria-current": here }, one.name));
    };
    const shown = MENU.filter((one) => one.for(caller));
    draw(document.getElementById("views"), h("ul", null, shown.map(entry)));
    draw(
        document.getElementById("who"),
        h("span", { class: "beat", id: "beat", title: "live" }),
        h("span", null, caller.tenant_id ?? "installation", h("small", null, caller.role)),
        h("button", { class: "plain", onclick: leave }, "Leave"),
    );
}

function live(well) {
    const beat = document.getElementById("beat");
    if (!beat) return;
    beat.className = well ? "beat" : "beat lost";
    beat.title = well ? "live" : "no answer just now; it is tried again";
}

let saying = 0;

function say(text, tone = "good") {
    const said = document.getElementById("said");
    said.className = `said ${tone}`;
    said.textContent = text;
    clearTimeout(saying);
    saying = setTimeout(() => (said.textContent = ""), SAID_MS);
}

function leave() {
    known = { at_ms: 0, tenants: [] };
    key.forget();
    start();
}

/** Ask for a key. */
function start(reason = null) {
    current?.leave();
    current = null;
    draw(document.getElementById("views"));
    draw(document.getElementById("who"));
    const input = h("input", {
        id: "key",
        name: "key",
        type: "password",
        autocomplete: "off",
        required: true,
        "aria-describedby": "key-about",
    });
    const given = (event) => {
        event.preventDefault();
        key.set(event.target.elements.key.value.trim());
        enter();
    };
    draw(
        main,
        h(
            "section",
            { class: "door" },
            heading("Open the console"),
            reason && notice("bad", reason),
            h(
                "form",
                { onsubmit: given },
                h("label", { for: "key" }, "API key or token"),
                input,
                h(
                    "p",
                    { id: "key-about", class: "aside" },
                    "It stays in this tab, until you leave or close it. What you see is what it may see: make one with ",
                    h("code", null, "pushlane keys create"),
                    ".",
                ),
                h("button", { class: "strong" }, "Open"),
            ),
        ),
    );
    main.removeAttribute("aria-busy");
    document.title = "Pushlane";
}

async function enter() {
    try {
        caller = await get("caller");
        ahead_ms = caller.now_ms - Date.now();
    } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 401) key.forget();
        start(error.status === 401 ? "That key is not, or no longer, valid." : error.message);
        return;
    }
    if (caller.role === "agent") {
        key.forget();
        start(
            "That is an agent's key: it reads and writes its own attempts only. " +
                "Use a producer's, an operator's or an admin's.",
        );
        return;
    }
    visit();
}

/** `pushlane console` hands its key on in the fragment, which no server sees; it leaves the address at once. */
function handedOver() {
    const found = /^#key=([\x21-\x7e]+)$/.exec(location.hash);
    if (!found) return;
    key.set(decodeURIComponent(found[1]));
    history.replaceState(null, "", `${location.pathname}${location.search}#/`);
}

addEventListener("hashchange", () => {
    handedOver();
    if (caller) visit();
    else if (key.get()) enter();
});
document.addEventListener("visibilitychange", () =>
    document.hidden ? clearTimeout(current?.timer) : current?.refresh(),
);
document.getElementById("skip").onclick = (event) => {
    event.preventDefault();
    main.focus();
};
handedOver();
if (key.get()) enter();
else start();
