// Small charts, drawn as SVG. Each has its figures as a table too, for those who cannot see it or want the numbers.

import { h, svg } from "./dom.js";
import { minuteOf } from "./format.js";

const WIDTH = 600;
const HEIGHT = 120;

/** A scale's upper end: the next of 1, 2, 5 times a power of ten. */
export function roundUp(value) {
    if (!(value > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

const MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1_440];

/** The same of a duration in milliseconds: beyond a minute people count in others. */
export function roundUpTime(ms) {
    const found = MINUTES.map((minutes) => minutes * 60_000).find((whole) => whole >= ms);
    return ms <= 60_000 || !found ? roundUp(ms) : found;
}

/** Lines over time. `series`: `{name, tone, points: [[ms, value]]}`; a gap of more than `step` breaks a line. */
export function lines({ title, from, to, step, series, say, round = roundUp }) {
    const top = round(Math.max(0, ...series.flatMap((one) => one.points.map(([, value]) => value))));
    const x = (ms) => ((ms - from) / (to - from)) * WIDTH;
    const y = (value) => HEIGHT - (value / top) * HEIGHT;
    const drawn = series.flatMap((one) => runs(one.points, step).map((run) => line(run, one.tone, x, y)));
    return figure({ title, from, to, top: say(top), legend: series, drawn, table: table(series, say) });
}

/** Stacked bars over time, from the bottom up in the order of `series`. */
export function bars({ title, from, to, step, series, say }) {
    const at = [...new Set(series.flatMap((one) => one.points.map(([ms]) => ms)))].sort((one, other) => one - other);
    const value = series.map((one) => new Map(one.points));
    const sums = at.map((ms) => value.reduce((sum, points) => sum + (points.get(ms) ?? 0), 0));
    // Few of them stay low: a single task is no wall.
    const top = roundUp(Math.max(5, ...sums));
    const width = (step / (to - from)) * WIDTH;
    const drawn = at.flatMap((ms) => {
        let base = HEIGHT;
        return series.map((one, place) => {
            const height = ((value[place].get(ms) ?? 0) / top) * HEIGHT;
            base -= height;
            const left = ((ms - from) / (to - from)) * WIDTH;
            return (
                height > 0 &&
                svg("rect", {
                    class: `fill-${one.tone}`,
                    x: left.toFixed(2),
                    y: base.toFixed(2),
                    width: Math.max(0.8, width * 0.85).toFixed(2),
                    height: height.toFixed(2),
                })
            );
        });
    });
    return figure({ title, from, to, top: say(top), legend: series, drawn, table: table(series, say) });
}

function runs(points, step) {
    const found = [];
    for (const point of points) {
        const run = found.at(-1);
        if (run && point[0] - run.at(-1)[0] <= step * 1.5) run.push(point);
        else found.push([point]);
    }
    return found;
}

function line(run, tone, x, y) {
    const at = run.map(([ms, value]) => `${x(ms).toFixed(2)},${y(value).toFixed(2)}`);
    // A single point has no length: a short stroke stands for it.
    if (at.length === 1) at.push(`${(x(run[0][0]) + 3).toFixed(2)},${y(run[0][1]).toFixed(2)}`);
    return svg("polyline", { class: `line-${tone}`, points: at.join(" ") });
}

function figure({ title, from, to, top, legend, drawn, table }) {
    const named = legend.map((one) => h("li", { class: `key-${one.tone}` }, one.name));
    const grid = [0, 0.5, 1].map((part) =>
        svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part }),
    );
    const plot = svg(
        "svg",
        { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
        grid,
        drawn,
    );
    const empty = !table && h("p", { class: "empty" }, "Nothing in this time.");
    return h(
        "figure",
        { class: "chart" },
        h("figcaption", null, h("span", null, title), h("ul", { class: "legend" }, named)),
        empty || [
            h(
                "div",
                { class: "plot" },
                h("div", { class: "scale", "aria-hidden": "true" }, h("span", null, top), h("span", null, "0")),
                plot,
                h(
                    "div",
                    { class: "times", "aria-hidden": "true" },
                    h("span", null, minuteOf(from)),
                    h("span", null, minuteOf(to)),
                ),
            ),
            h(
                "details",
                { class: "figures" },
                h("summary", null, "As a table", h("span", { class: "unseen" }, `: ${title}`)),
                h(
                    "div",
                    { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` },
                    table,
                ),
            ),
        ],
    );
}

function table(series, say) {
    const at = [...new Set(series.flatMap((one) => one.points.map(([ms]) => ms)))].sort((one, other) => other - one);
    if (at.length === 0) return null;
    const value = series.map((one) => new Map(one.points));
    const cells = (ms) =>
        value.map((points) => h("td", { class: "number" }, points.has(ms) ? say(points.get(ms)) : "–"));
    return h(
        "table",
        null,
        h(
            "thead",
            null,
            h(
                "tr",
                null,
                h("th", { scope: "col" }, "Time"),
                series.map((one) => h("th", { scope: "col", class: "number" }, one.name)),
            ),
        ),
        h(
            "tbody",
            null,
            at.map((ms) => h("tr", null, h("th", { scope: "row" }, minuteOf(ms)), cells(ms))),
        ),
    );
}

/** How much of something is taken, as a bar with its own words. */
export function meter(used, of, name, plain = false) {
    const part = of > 0 ? Math.min(1, Math.max(0, used / of)) : 0;
    const tone = plain || part < 0.85 ? "some" : part < 1 ? "high" : "full";
    const bar = svg(
        "svg",
        { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { class: "track", width: 100, height: 8 }),
        svg("rect", { class: `fill-${tone}`, width: (100 * part).toFixed(1), height: 8 }),
    );
    const said = {
        role: "meter",
        "aria-label": name,
        "aria-valuemin": 0,
        "aria-valuemax": of,
        "aria-valuenow": Math.min(used, of),
        "aria-valuetext": `${used} of ${of}`,
    };
    return h("span", { class: "meter", ...said }, bar);
}
