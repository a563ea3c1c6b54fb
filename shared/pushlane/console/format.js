// Figures as people read them. Times are Unix milliseconds, shown in the viewer's own zone.

import { h } from "./dom.js";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export const count = (value) => (value < 100_000 ? whole : short).format(value);
export const percent = (part, all) =>
    all ? `${(Math.floor((1000 * part) / all) / 10).toFixed(part === all ? 0 : 1)} %` : "–";
export const minuteOf = (ms) => minute.format(ms);
export const short_id = (id) => (id.length > 14 ? `${id.slice(0, 10)}…` : id);

export function duration(ms) {
    if (ms === null || ms === undefined) return "–";
    if (ms < 1) return ms <= 0 ? "0 ms" : "< 1 ms";
    if (ms < 1_000) return `${Math.round(ms)} ms`;
    if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 9_950 ? 1 : 0)} s`;
    const minutes = Math.floor(ms / 60_000);
    if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A point in time, as an element that says it in full too. */
export function time(ms, now) {
    if (ms === null || ms === undefined) return "–";
    const near = Math.abs(now - ms) < 20 * 3_600_000;
    const iso = new Date(ms).toISOString();
    return h("time", { datetime: iso, title: iso }, (near ? clock : day).format(ms));
}

export const ago = (ms, now) => (ms > now ? `in ${duration(ms - now)}` : `${duration(now - ms)} ago`);
