/**
 * Small charts of the last minute: a figure, and a line that says where it comes from.
 */

import { h } from "./dom.js";
import { count, duration, size } from "./format.js";

const _SECONDS = 60;

const _CHARTS = [
    { name: "Exchanges", unit: "/s", lines: [(second) => second.exchanges], figure: (second) => count(second.exchanges) },
    { name: "Errors", unit: "/s", tone: "bad", lines: [(second) => second.errors], figure: (second) => count(second.errors) },
    {
        name: "Latency",
        unit: "p99",
        lines: [(second) => second.latency?.p99 ?? null, (second) => second.latency?.p50 ?? null],
        figure: (second) => (second.latency ? duration(second.latency.p99) : "\u2014"),
    },
    { name: "Open", unit: "connections", lines: [(second) => second.open], figure: (second) => count(second.open) },
    {
        name: "Octets",
        unit: "/s",
        lines: [(second) => second.received + second.sent],
        figure: (second) => size(second.received + second.sent),
    },
    { name: "Events", unit: "/s", lines: [(second) => second.events], figure: (second) => count(second.events) },
];

export class Charts {
    /**
     * @param {HTMLElement} element where they are.
     */
    constructor(element) {
        this._seconds = [];
        this._parts = _CHARTS.map((chart) => {
            const canvas = h("canvas", { class: `line ${chart.tone ?? ""}`, role: "img", "aria-label": chart.name });
            const figure = document.createTextNode("\u2014");
            element.append(
                h("div", { class: "chart" }, h("div", { class: "figures" }, h("span", { class: "name" }, chart.name), h("b", {}, figure), h("small", {}, chart.unit)), canvas),
            );
            return { chart, canvas, figure };
        });
        new ResizeObserver(() => this.draw()).observe(element);
    }

    /** @param {any[]} seconds newer ones, as the feed says. */
    add(seconds) {
        const known = this._seconds.length ? this._seconds[this._seconds.length - 1].time : 0;
        this._seconds.push(...seconds.filter((second) => second.time > known));
        this._seconds.splice(0, this._seconds.length - _SECONDS);
        this.draw();
    }

    /** Draw them. */
    draw() {
        const last = this._seconds[this._seconds.length - 1];
        if (!last) return;
        for (const { chart, canvas, figure } of this._parts) {
            figure.nodeValue = chart.figure(last);
            canvas.setAttribute("aria-label", `${chart.name} ${chart.unit} over a minute, now ${figure.nodeValue}`);
            this._line(canvas, chart.lines);
        }
    }

    _line(canvas, lines) {
        const scale = devicePixelRatio;
        const width = Math.round(canvas.clientWidth * scale);
        const height = Math.round(canvas.clientHeight * scale);
        if (!width || !height) return;
        if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
        const context = canvas.getContext("2d");
        context.clearRect(0, 0, width, height);
        const { color } = getComputedStyle(canvas);
        const values = lines.map((line) => this._seconds.map(line));
        const highest = Math.max(...values.flat().map((value) => value ?? 0)) || 1;
        const step = width / (_SECONDS - 1);
        const base = height - scale;
        values.forEach((line, which) => {
            context.beginPath();
            line.forEach((value, index) => {
                const x = width - (line.length - 1 - index) * step;
                const y = base - ((value ?? 0) / highest) * (height - 3 * scale);
                if (index) context.lineTo(x, y);
                else context.moveTo(x, y);
            });
            context.strokeStyle = color;
            context.lineWidth = 1.25 * scale;
            context.lineJoin = "round";
            context.globalAlpha = which === lines.length - 1 ? 1 : 0.45;
            context.stroke();
            if (which === 0) {
                context.lineTo(width, height);
                context.lineTo(width - (line.length - 1) * step, height);
                context.globalAlpha = 0.12;
                context.fillStyle = color;
                context.fill();
            }
        });
        context.globalAlpha = 1;
    }
}
