// Calls of the API that serves this page, with the viewer's own key. The key stays in this tab.

const BASE = new URL("v1/", document.baseURI);
const KEPT = "pushlane.key";
const REOPENED_MS = 3_000;

export class Refused extends Error {
    constructor(status, said) {
        super(said?.detail ?? `the API answered ${status}`);
        this.status = status;
        this.title = said?.title ?? "Not answered";
        this.request = said?.request_id ?? "";
    }
}

export const key = {
    get: () => sessionStorage.getItem(KEPT),
    set: (text) => sessionStorage.setItem(KEPT, text),
    forget: () => sessionStorage.removeItem(KEPT),
};

export const get = (path, query = {}) => call("GET", path, query);
export const post = (path, body, query = {}) => call("POST", path, query, body);

async function call(method, path, query, body) {
    const url = addressed(path, query);
    const headers = { authorization: `Bearer ${key.get() ?? ""}`, accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    let answer;
    try {
        answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    } catch {
        throw new Refused(0, { title: "No connection", detail: "the API cannot be reached from here just now" });
    }
    const said = answer.status === 204 ? null : await answer.json().catch(() => null);
    if (!answer.ok) throw new Refused(answer.status, said);
    return said;
}

function addressed(path, query) {
    const url = new URL(path, BASE);
    for (const [name, value] of Object.entries(query)) {
        if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
    }
    return url;
}

/** Every page of a list, up to `most` entries. */
export async function all(path, query, name, most = 200) {
    const found = [];
    let cursor;
    do {
        const page = await get(path, { ...query, cursor });
        found.push(...page[name]);
        cursor = page.next_cursor;
    } while (cursor && found.length < most);
    return { found, more: Boolean(cursor) };
}

/** Follow a task's log with an EventSource, by a ticket that opens this stream alone. Returns how to stop. `heard`:
 * `event`, `expired`, `state` (live, closed), and `over`: whether a stream that has closed is at its end. */
export function follow(task, heard) {
    let source = null;
    let again = 0;
    let stopped = false;
    let last = 0;
    const listened = (event, tell) => {
        last = Number(event.lastEventId);
        tell?.(JSON.parse(event.data));
    };
    async function open() {
        const { ticket } = await post("stream-tickets", { stream: task });
        if (stopped) return;
        const path = `tasks/${encodeURIComponent(task)}/events`;
        source = new EventSource(addressed(path, { ticket, named: "false", after: last }));
        source.onmessage = (event) => listened(event, heard.event);
        source.addEventListener("expired", (event) => listened(event, heard.expired));
        source.onopen = () => heard.state("live");
        source.onerror = () => source.readyState === EventSource.CLOSED && closed();
    }
    // The log is at its end (204), or the ticket is: what still goes on gets a new one.
    function closed() {
        heard.state("closed");
        again = setTimeout(() => !stopped && !heard.over() && begin(), REOPENED_MS);
    }
    // Refused once, refused again: only what was not answered is tried again.
    const refused = (error) => (error instanceof Refused && error.status === 404 ? heard.state("closed") : closed());
    const begin = () => open().catch(refused);
    begin();
    return () => {
        stopped = true;
        clearTimeout(again);
        source?.close();
    };
}
