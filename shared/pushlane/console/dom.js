// Elements are made, never parsed: what a task or an agent says cannot become markup.

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "onsubmit", "onchange", "oninput", "onpointermove", "onpointerleave", "onclose"];
// What a person has changed stays as it is when a view is drawn again.
const OWN = { DETAILS: ["open"], DIALOG: ["open"], INPUT: ["value"], SELECT: [] };

export const h = (name, attributes, ...children) => made(document.createElement(name), attributes, children);
export const svg = (name, attributes, ...children) => made(document.createElementNS(SVG, name), attributes, children);

function made(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (value === null || value === undefined || value === false) continue;
        if (typeof value === "function") element[name] = value;
        else element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...nodes(children));
    return element;
}

const shown = (one) => one !== null && one !== undefined && one !== false;
const nodes = (children) => children.flat(Infinity).filter(shown);

/** Make `parent` hold what `fresh` is, and keep every element that is still wanted: with it focus, scroll and choice. */
export function draw(parent, ...fresh) {
    const wanted = nodes(fresh).map((one) => (one instanceof Node ? one : document.createTextNode(String(one))));
    const keyed = new Map([...parent.children].filter((one) => one.dataset.key).map((one) => [one.dataset.key, one]));
    let place = parent.firstChild;
    for (const want of wanted) {
        const key = want.dataset?.key;
        const kept = key ? keyed.get(key) : place && !place.dataset?.key && alike(place, want) ? place : null;
        if (!kept || !alike(kept, want)) {
            parent.insertBefore(want, place);
        } else {
            if (kept === place) place = place.nextSibling;
            else parent.insertBefore(kept, place);
            take(kept, want);
        }
    }
    while (place) {
        const next = place.nextSibling;
        place.remove();
        place = next;
    }
}

const alike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName;

function take(kept, want) {
    if (kept.nodeType === Node.TEXT_NODE) {
        if (kept.data !== want.data) kept.data = want.data;
        return;
    }
    const own = OWN[kept.nodeName] ?? [];
    for (const { name } of [...kept.attributes]) {
        if (!want.hasAttribute(name) && !own.includes(name)) kept.removeAttribute(name);
    }
    for (const { name, value } of want.attributes) {
        if (kept.getAttribute(name) !== value && !own.includes(name)) kept.setAttribute(name, value);
    }
    for (const name of HANDLERS) kept[name] = want[name];
    draw(kept, ...want.childNodes);
    // A choice is what the address says, also after going back.
    if (kept.nodeName === "SELECT") kept.value = want.value;
}
