/**
 * One exchange or connection, whole.
 */

import * as api from "./api.js";
import { compare } from "./compare.js";
import { messageContent } from "./content.js";
import * as dialogue from "./dialogue.js";
import { button, h, icon } from "./dom.js";
import { count, duration, moment, size, visible } from "./format.js";

const _FIELDS = 300;
const _REFRESH = 400;

export class Detail {
    /**
     * @param {HTMLElement} element where it is.
     * @param {(command: string, event: Event) => void} run does a command of the page.
     */
    constructor(element, run) {
        this._element = element;
        this._run = run;
        this._row = null;
        /** The exchange that is shown, whole. */
        this.exchange = null;
        /** Whether nothing is masked. */
        this.secrets = false;
        this._tab = null;
        this._view = "decoded";
        this._live = [];
        this._timer = null;
        /** Kept once the row that was chosen last is here, or cannot be had. */
        this.loaded = Promise.resolve();
    }

    /** @returns {import("./rows.js").Row|null} the row that it is of. */
    get row() {
        return this._row;
    }

    /**
     * Show a row.
     *
     * @param {import("./rows.js").Row|null} row which; null for none.
     */
    show(row) {
        if (row === this._row) return;
        this._row = row;
        this.exchange = null;
        this._sequence = -1;
        this._shape = "";
        this._element.hidden = row === null;
        if (row) this.loaded = this._load();
        else this._element.replaceChildren();
    }

    /** The row may have changed: look again, soon. */
    changed() {
        if (!this._row || this._row.sequence === this._sequence || this._timer) return;
        this._timer = setTimeout(() => {
            this._timer = null;
            if (this._row) this._load();
        }, _REFRESH);
    }

    /** Show secrets, or mask them. */
    toggleSecrets() {
        this.secrets = !this.secrets;
        this._shape = "";
        if (this._row) this.loaded = this._load();
    }

    /** Show octets in hex, or decoded again. */
    toggleHex() {
        this._view = this._view === "hex" ? "decoded" : "hex";
        this._shape = "";
        if (this.exchange) this._draw();
    }

    /**
     * Go to another tab.
     *
     * @param {number} step how many to the right.
     */
    turn(step) {
        const names = this._tabs();
        const at = names.findIndex(([name]) => name === this._tab);
        this._choose(names[(at + step + names.length) % names.length][0]);
        this._element.querySelector("[role=tab][aria-selected=true]")?.focus();
    }

    async _load() {
        const row = this._row;
        const sequence = row.sequence;
        try {
            const exchange = await api.exchange(row.id, this.secrets);
            if (row !== this._row) return;
            this._sequence = sequence;
            this.exchange = exchange;
            this._draw();
        } catch (error) {
            if (row === this._row) {
                this._shape = "";
                this._element.replaceChildren(this._tools(), h("p", { class: "trouble padded" }, error.message));
            }
        }
    }

    _tabs() {
        const { type, again } = this.exchange;
        const tabs = [];
        if (type === "websocket") tabs.push(["messages", "Messages"], ["exchange", "Handshake"]);
        else if (type === "http") tabs.push(["exchange", "Exchange"]);
        tabs.push(["wire", type === "tcp" ? "Dialogue" : "On the wire"], ["times", "Times"]);
        if (again !== null) tabs.unshift(["compare", "Compare"]);
        return tabs;
    }

    _draw() {
        const { exchange } = this;
        const tabs = this._tabs();
        if (!tabs.some(([name]) => name === this._tab) || this._of !== exchange.id) {
            this._of = exchange.id;
            this._tab = tabs[0][0];
        }
        // What is looked at is drawn anew only where its parts have changed, so that nothing jumps while more comes.
        const shape = [exchange.id, exchange.type, this._tab, this.secrets, exchange.request?.length, exchange.response?.length, exchange.notes.length, exchange.state, exchange.differences?.length].join(" ");
        if (shape !== this._shape) {
            this._shape = shape;
            const kept = this._element.querySelector(".panel")?.scrollTop ?? 0;
            const focused = this._element.contains(document.activeElement) ? document.activeElement.id : "";
            this._panel = h("div", { class: "panel", id: "panel", role: "tabpanel", "aria-labelledby": `tab-${this._tab}`, tabindex: "0" });
            this._element.replaceChildren(this._tools(), this._title(), this._tablist(tabs), this._panel);
            this._live = [];
            this[`_${this._tab}`](this._panel);
            this._panel.scrollTop = kept;
            if (focused) document.getElementById(focused)?.focus();
        } else {
            for (const part of this._live) part.refresh();
        }
    }

    _choose(tab) {
        // What is still shown is of the row before.
        if (!this.exchange) return;
        this._tab = tab;
        this._draw();
    }

    _tools() {
        const command = (name, label, icon, text = false) => {
            const made = button({ label, icon, text, class: "small" }, (event) => this._run(name, event));
            made.id = `detail-${name}`;
            return made;
        };
        const secrets = command("secrets", "Secrets", "eye", true);
        secrets.setAttribute("aria-pressed", String(this.secrets));
        const mark = command("mark", "Mark", "star");
        mark.setAttribute("aria-pressed", String(this._row.marked));
        return h(
            "div",
            { class: "detailtools", role: "toolbar", "aria-label": "Of this exchange" },
            command("again", "Send again", "again", true),
            command("edit", "Edit and send", "edit", true),
            command("copy", "Copy", "copy", true),
            secrets,
            mark,
            h("span", { class: "gap" }),
            command("close", "Close", "close"),
        );
    }

    _title() {
        const { exchange } = this;
        const words =
            exchange.type === "tcp" ? ["TCP", `${exchange.peer} \u2194 ${exchange.host}`] : [exchange.type === "websocket" ? "WS" : (exchange.method ?? "No request"), exchange.target ?? ""];
        const status = exchange.type === "websocket" && exchange.closeCode !== null ? `closed ${exchange.closeCode}` : exchange.status !== null ? `${exchange.status} ${exchange.reason ?? ""}` : exchange.state;
        const tone = exchange.marks.includes("error") ? "bad" : exchange.status >= 400 ? "poor" : exchange.state === "open" && exchange.status === null ? "" : "good";
        return h(
            "div",
            { class: "title" },
            h("h2", {}, h("span", { class: "method" }, visible(words[0])), " ", h("span", { class: "target" }, visible(words[1].slice(0, 2000)))),
            h(
                "p",
                { class: "facts" },
                h("span", { class: `badge ${tone}` }, visible(status)),
                h("span", {}, duration(exchange.duration) || "open"),
                h("span", {}, `${size(exchange.requestLength)} \u2192`),
                h("span", {}, `\u2190 ${size(exchange.responseLength)}`),
                h("span", {}, visible(`${exchange.service} \u00b7 ${exchange.peer}`)),
                exchange.tls && h("span", {}, exchange.tls),
            ),
            exchange.wrong && ![exchange.request?.wrong, exchange.response?.wrong].includes(exchange.wrong) && h("p", { class: "banner bad" }, visible(exchange.wrong)),
            exchange.startGone && h("p", { class: "banner warn" }, "Its beginning is no longer kept."),
        );
    }

    _tablist(tabs) {
        const list = h("div", { class: "tabs", role: "tablist", "aria-label": "Parts" });
        for (const [name, label] of tabs) {
            const chosen = name === this._tab;
            list.append(
                h(
                    "button",
                    {
                        type: "button",
                        role: "tab",
                        id: `tab-${name}`,
                        "aria-selected": String(chosen),
                        "aria-controls": "panel",
                        tabindex: chosen ? "0" : "-1",
                        onclick: () => this._choose(name),
                        onkeydown: (event) => {
                            const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
                            if (!step) return;
                            event.preventDefault();
                            event.stopPropagation();
                            this.turn(step);
                        },
                    },
                    label,
                ),
            );
        }
        return list;
    }

    _exchange(panel) {
        const { exchange } = this;
        const both = h("div", { class: "both" });
        both.append(this._message("request", "Request"));
        const right = h("div", { class: "side" });
        for (const interim of exchange.interim) right.append(h("h3", {}, "Before it"), h("p", { class: "startline" }, visible(interim.line)), _fields(interim.fields));
        right.append(this._message("response", "Response"));
        both.append(right);
        panel.append(both, this._notes());
    }

    _message(which, label) {
        const message = this.exchange[which];
        const section = h("section", { class: `message ${which}`, "aria-label": label }, h("h3", {}, label));
        if (message === null) {
            section.append(h("p", { class: "dim" }, this.exchange.state === "open" ? "Not yet." : "There was none."));
            return section;
        }
        section.append(h("p", { class: "startline" }, visible(message.line)));
        if (message.wrong) {
            const where = message.wrongAt === null ? "" : ` At octet ${count(message.wrongAt)}.`;
            section.append(h("p", { class: "banner bad" }, `${visible(message.wrong)}${where}`));
        }
        section.append(_fields(message.fields));
        if (message.content.undecodable) section.append(h("p", { class: "banner warn" }, visible(message.content.undecodable)));
        section.append(messageContent(this.exchange.id, which, message, this.secrets, this._view).element);
        if (message.trailers.length) section.append(h("h3", {}, "Trailers"), _fields(message.trailers));
        return section;
    }

    _notes() {
        const { notes } = this.exchange;
        if (!notes.length) return "";
        const items = notes.slice(0, _FIELDS).map((note) =>
            h("li", { class: note.fault ? "fault" : "" }, h("time", {}, `+${duration(Math.max(0, note.time - this.exchange.started))}`), note.fault ? icon("bolt") : "", h("span", {}, visible(note.text))),
        );
        return h("section", { class: "notes", "aria-label": "Notes" }, h("h3", {}, "Notes"), h("ul", {}, ...items));
    }

    _messages(panel) {
        const part = dialogue.messages(this.exchange.id);
        this._live.push(part);
        panel.append(part.element, this._notes());
    }

    _wire(panel) {
        const part = dialogue.pieces(this.exchange.connection, this.secrets);
        this._live.push(part);
        panel.append(part.element);
    }

    _times(panel) {
        const { exchange } = this;
        const timings = exchange.timings ?? {};
        const total = exchange.duration || 1e-9;
        const bars = [["send", "Sending the request"], ["wait", "Waiting for the answer"], ["receive", "Receiving it"]];
        let left = 0;
        const chart = h("dl", { class: "timing" });
        for (const [name, label] of bars) {
            const value = timings[name];
            if (value === null || value === undefined) continue;
            const bar = h("i", { class: `bar ${name}` });
            bar.style.setProperty("--left", `${(left / total) * 100}%`);
            bar.style.setProperty("--width", `${(value / total) * 100}%`);
            left += value;
            chart.append(h("dt", {}, label), h("dd", {}, h("span", { class: "track" }, bar), h("span", { class: "figure" }, duration(value))));
        }
        const facts = [
            ["Began", moment(exchange.started)],
            ["Ended", exchange.ended === null ? "not yet" : moment(exchange.ended)],
            ["Took", duration(exchange.duration) || "not yet over"],
            ["Connection", `${exchange.connection}, ${exchange.service}, ${exchange.role}`],
            ["Peer", exchange.peer],
            ["Host", exchange.host],
            ["TLS", exchange.secured ? [exchange.secured.version, exchange.secured.alpn, exchange.secured.sni].filter(Boolean).join(", ") : "none"],
            ["Ended how", [exchange.how, exchange.reason].filter(Boolean).join(": ") || "open"],
        ];
        panel.append(
            chart.children.length ? chart : "",
            h("table", { class: "fields" }, h("tbody", {}, ...facts.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, visible(String(value))))))),
            this._notes(),
        );
    }

    _compare(panel) {
        compare(panel, this.exchange, this.secrets);
    }
}

function _fields(fields) {
    const body = h("tbody");
    const add = (from) => {
        for (const field of fields.slice(from, from + _FIELDS)) {
            const value = visible(field.value.slice(0, 16384));
            body.append(
                h("tr", { class: field.masked ? "masked" : "" }, h("th", { scope: "row" }, visible(field.name.slice(0, 1024))), h("td", {}, value, field.masked && h("small", {}, " masked"))),
            );
        }
        if (fields.length > from + _FIELDS) {
            const more = button({ label: `Show ${count(Math.min(_FIELDS, fields.length - from - _FIELDS))} of ${count(fields.length - from - _FIELDS)} more`, class: "small" }, () => {
                more.closest("tr").remove();
                add(from + _FIELDS);
            });
            body.append(h("tr", {}, h("td", { colspan: "2" }, more)));
        }
    };
    add(0);
    return h("table", { class: "fields" }, body);
}

