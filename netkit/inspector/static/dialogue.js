/**
 * What two sides said to each other, in turn, with the times between: a WebSocket's messages, or a
 * connection's pieces.
 */

import * as api from "./api.js";
import { button, choice, h } from "./dom.js";
import { count, duration, size, time, visible, visibleLines } from "./format.js";
import { Content } from "./content.js";
import { decode, fromBase64, hexDump } from "./octets.js";

const _WINDOW = 100;

export class Dialogue {
    /**
     * @param {string} label what it is.
     * @param {(after: number, limit: number) => Promise<{items: any[], first: number, total: number}>} load
     *     where its items are.
     * @param {(item: any) => object|null} source where the whole of an item is, for Content.
     */
    constructor(label, load, source) {
        this._load = load;
        this._source = source;
        this._hex = false;
        this._items = [];
        this._after = -1;
        this._total = 0;
        this._turn = 0;
        this._body = h("ol", { class: "dialogue" });
        this._pager = h("div", { class: "pager" });
        this.element = h(
            "div",
            { class: "content" },
            h(
                "div",
                { class: "contenthead" },
                h("span", { class: "legend" }, h("i", { class: "client" }), "client", h("i", { class: "server" }), "server"),
                this._pager,
                choice(`${label} as`, [["text", "Text"], ["hex", "Hex"]], "text", (value) => {
                    this._hex = value === "hex";
                    this._draw();
                }),
            ),
            h("div", { class: "window", tabindex: "0", role: "region", "aria-label": label }, this._body),
        );
        this.refresh();
    }

    /** Look again: there may be more. */
    async refresh() {
        const turn = ++this._turn;
        try {
            const { items, first, total } = await this._load(this._after, _WINDOW);
            if (turn !== this._turn) return;
            this._total = total;
            this._first = first;
            const known = this._items;
            this._items = items;
            this._page();
            const same = known.length <= items.length && known.every((item, index) => item.index === items[index].index);
            this._draw(same ? known.length : 0);
        } catch (error) {
            if (turn === this._turn) this._body.replaceChildren(h("li", { class: "trouble" }, error.message));
        }
    }

    _page() {
        const last = this._items.length ? this._items[this._items.length - 1].index : this._after;
        const begin = this._items.length ? this._items[0].index : 0;
        const go = (after) => {
            this._after = Math.max(-1, after);
            this._items = [];
            this.refresh();
        };
        if (begin <= this._first && last + 1 >= this._total) {
            this._pager.replaceChildren(h("span", { class: "dim" }, count(this._total)));
            return;
        }
        const earlier = button({ label: "Earlier", class: "small" }, () => go(begin - _WINDOW - 1));
        const later = button({ label: "Later", class: "small" }, () => go(last));
        const latest = button({ label: "Latest", class: "small" }, () => go(this._total - _WINDOW - 1));
        earlier.disabled = begin <= this._first;
        later.disabled = latest.disabled = last + 1 >= this._total;
        this._pager.replaceChildren(h("span", { class: "dim" }, `${count(begin + 1)}\u2013${count(last + 1)} of ${count(this._total)}`), earlier, later, latest);
    }

    _draw(known = 0) {
        const items = this._items.map((item, index) => (index < known ? null : this._item(item, index ? this._items[index - 1] : null))).filter(Boolean);
        if (known) this._body.append(...items);
        else this._body.replaceChildren(...items);
        if (!this._items.length) this._body.replaceChildren(h("li", { class: "dim none" }, "Nothing has been said."));
    }

    _item(item, previous) {
        const waited = previous ? item.time - previous.time : 0;
        const gap = !previous ? time(item.time) : waited > 0 ? `+${duration(waited)}` : "";
        const stamp = h("time", { title: time(item.time) }, gap);
        if (item.plain !== null) return h("li", { class: `note ${item.tone}` }, stamp, h("p", {}, visible(item.plain)));
        const body = this._octets(item);
        const source = item.truncated && this._source(item);
        const more =
            source &&
            button({ label: `Show all ${size(item.length)}`, class: "small" }, () => {
                body.replaceWith(new Content(`${item.title}, ${size(item.length)}`, [source, { ...source, label: "Hex", as: "hex" }]).element);
                more.remove();
            });
        return h(
            "li",
            { class: `said ${item.fromClient ? "client" : "server"}` },
            stamp,
            h("div", { class: "bubble" }, h("p", { class: "title" }, h("b", {}, item.title), ` ${size(item.length)}`, item.wrong && h("span", { class: "trouble" }, ` ${visible(item.wrong)}`)), body, more),
        );
    }

    _octets(item) {
        const octets = item.base64 !== null ? fromBase64(item.base64) : new TextEncoder().encode(item.text ?? "");
        if (octets.length === 0) return h("span", {});
        if (this._hex) return hexDump(octets, item.offset ?? 0);
        const { text, clean } = item.text !== null ? { text: item.text, clean: true } : decode(octets);
        return clean ? h("pre", { class: "text" }, visibleLines(text)) : hexDump(octets, item.offset ?? 0);
    }
}

/**
 * Show a WebSocket's messages.
 *
 * @param {string} id of its exchange.
 * @returns {Dialogue} the dialogue.
 */
export function messages(id) {
    const load = async (after, limit) => {
        const answer = await api.messages(id, after, limit);
        return { ...answer, items: answer.messages.map(_message) };
    };
    return new Dialogue("Messages", load, (item) => ({ label: "Text", as: "text", path: api.paths.message(id, item.index) }));
}

function _message(message) {
    const { kind, code, reason, opcode } = message;
    const who = message.fromClient ? "Client" : "Server";
    const base = { ...message, plain: null, tone: "", title: opcode ?? kind };
    if (kind === "close") return { ...base, plain: `${who} closes${code === null ? "" : ` with ${code}`}${reason ? `: ${reason}` : ""}${message.wrong ? ` \u2014 ${message.wrong}` : ""}`, tone: message.fromClient ? "client" : "server" };
    if (kind === "note") return { ...base, plain: message.text ?? message.wrong, tone: "warn" };
    return base;
}

/**
 * Show what went over a connection, as it did.
 *
 * @param {number} connection its number.
 * @param {boolean} secrets whether nothing is masked.
 * @returns {Dialogue} the dialogue.
 */
export function pieces(connection, secrets) {
    const load = async (after, limit) => {
        const answer = await api.pieces(connection, after, limit, secrets);
        return { ...answer, items: answer.pieces.map(_piece) };
    };
    return new Dialogue("Pieces", load, (item) => ({
        label: "Text",
        as: "text",
        path: api.paths.stream(connection, item.direction, secrets),
        offset: item.offset,
        span: item.length,
    }));
}

function _piece(piece) {
    const who = piece.fromClient ? "Client" : "Server";
    const base = { ...piece, plain: null, tone: "", title: who, wrong: "" };
    switch (piece.kind) {
        case "octets":
            return base;
        case "half-closed":
            return { ...base, plain: `${who} ends its half${piece.note ? `: ${piece.note}` : ""}`, tone: piece.fromClient ? "client" : "server" };
        case "closed":
            return { ...base, plain: `Closed${piece.note ? `: ${piece.note}` : ""}` };
        case "secured":
            return { ...base, plain: `Secured${piece.note ? `: ${piece.note}` : ""}`, tone: "good" };
        case "lost":
            return { ...base, plain: piece.note ?? `${size(piece.length)} lost`, tone: "bad" };
        default:
            return { ...base, plain: piece.note ?? piece.kind, tone: "warn" };
    }
}
