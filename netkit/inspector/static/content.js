/**
 * Octets that are somewhere, seen through a window: never more of them are here than are looked at.
 */

import * as api from "./api.js";
import { choice, h, button } from "./dom.js";
import { count, size, visible, visibleLines } from "./format.js";
import { decode, hexDump } from "./octets.js";
import * as pretty from "./pretty.js";

const _TEXT = 32768;
const _HEX = 8192;

/**
 * @typedef {object} Source one way to look at it.
 * @property {string} label what it is called.
 * @property {string} path where the octets are.
 * @property {"text"|"sent"|"hex"|"decoded"|"image"} as how they are shown.
 * @property {string|null} [type] their Content-Type.
 * @property {number} [length] how many there are, where that is known.
 * @property {number} [offset] where in what is at the path it begins.
 * @property {number} [span] how much of it there is from there on.
 * @property {number|null} [wrong] the offset of one to point at.
 */

export class Content {
    /**
     * @param {string} label what it is.
     * @param {Source[]} sources the ways to look at it.
     * @param {number} [first] which of them it is at first.
     */
    constructor(label, sources, first = 0) {
        this._sources = sources;
        this._first = 0;
        this._indented = null;
        this._turn = 0;
        this._body = h("div", { class: "window", tabindex: "0", role: "region", "aria-label": label });
        this._pager = h("div", { class: "pager" });
        const options = sources.map((source, index) => [String(index), source.label]);
        this.element = h(
            "div",
            { class: "content" },
            h("div", { class: "contenthead" }, h("span", { class: "what" }, label), this._pager, choice(`${label} as`, options, String(first), (value) => this._choose(Number(value)))),
            this._body,
        );
        this._choose(first);
    }

    _choose(index) {
        this._source = this._sources[index];
        this._first = 0;
        this._indented = null;
        if (this._source.as === "hex" && this._source.wrong) this._first = Math.max(0, (this._source.wrong - 256) & ~15);
        this._load();
    }

    async _load() {
        const turn = ++this._turn;
        try {
            const [shown, from, until, total] = await this._window();
            if (turn !== this._turn) return;
            this._body.replaceChildren(shown);
            this._body.scrollTop = 0;
            this._page(from, until, total);
            this._body.querySelector(".wrong")?.scrollIntoView({ block: "nearest" });
        } catch (error) {
            if (turn === this._turn) this._body.replaceChildren(h("p", { class: "trouble" }, error.message));
        }
    }

    async _window() {
        const { as, path, type, length, wrong } = this._source;
        if (as === "image") return [this._image(path), 0, 0, 0];
        if (as === "decoded" && length <= pretty.INDENTED) {
            const shown = await this._indent();
            if (shown) return shown;
        }
        const width = as === "hex" ? _HEX : _TEXT;
        const { offset = 0, span = Infinity } = this._source;
        const found = await api.octets(path, offset + this._first, Math.min(width, span - this._first));
        const { octets } = found;
        const total = Math.min(found.total - offset, span);
        const until = this._first + octets.length;
        if (as === "hex") return [hexDump(octets, this._first, wrong ?? null), this._first, until, total];
        const { text, clean } = decode(octets, type);
        if (!clean && as === "decoded") return [hexDump(octets.subarray(0, _HEX), this._first), this._first, this._first + Math.min(octets.length, _HEX), total];
        return [_pre(visibleLines(text, as === "sent"), null), this._first, until, total];
    }

    async _indent() {
        const { path, type } = this._source;
        const kind = pretty.kind(type);
        if (kind !== "json" && kind !== "xml" && kind !== "form") return null;
        if (this._indented === null) {
            const { octets } = await api.octets(path, 0, pretty.INDENTED);
            const { text } = decode(octets, type);
            if (kind === "form") return [_table(pretty.form(text)), 0, 0, 0];
            this._indented = (kind === "json" ? pretty.json(text) : pretty.xml(text)) ?? "";
        }
        if (this._indented === "") return null;
        const total = this._indented.length;
        const part = this._indented.slice(this._first, this._first + _TEXT);
        return [_pre(visibleLines(part), kind), this._first, this._first + part.length, total];
    }

    _image(path) {
        const image = h("img", { src: path, alt: "the image that was sent", class: "picture" });
        image.addEventListener("error", () => image.replaceWith(h("p", { class: "trouble" }, "The browser cannot show this image.")));
        return image;
    }

    _page(from, until, total) {
        const width = Math.max(1, until - from);
        const go = (first) => {
            this._first = Math.max(0, first);
            this._load();
        };
        if (total === 0 || (from === 0 && until >= total)) {
            this._pager.replaceChildren();
            return;
        }
        const step = this._source.as === "hex" ? _HEX : _TEXT;
        const earlier = button({ label: "Earlier", class: "small" }, () => go(from - step));
        const later = button({ label: "Later", class: "small" }, () => go(from + width));
        const last = button({ label: "End", class: "small" }, () => go(Math.floor((total - 1) / step) * step));
        earlier.disabled = from === 0;
        later.disabled = last.disabled = until >= total;
        this._pager.replaceChildren(h("span", { class: "dim" }, `${count(from)}\u2013${count(until)} of ${count(total)}`), earlier, later, last);
    }
}

function _pre(text, language) {
    const element = h("pre", { class: "text" });
    pretty.colour(element, text, language);
    return element;
}

function _table(pairs) {
    const rows = pairs.slice(0, 1000).map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, visible(name)), h("td", {}, visibleLines(value.slice(0, _TEXT)))));
    return h("table", { class: "fields" }, h("tbody", {}, ...rows));
}

/**
 * Look at a message of HTTP: its content decoded, and its octets as sent, as text and in hex.
 *
 * @param {string} id of the exchange.
 * @param {"request"|"response"} which of its two messages.
 * @param {any} message as the API says.
 * @param {boolean} secrets whether nothing is masked.
 * @param {string} view what is looked at first: "decoded", "sent" or "hex".
 * @returns {Content} the window.
 */
export function messageContent(id, which, message, secrets, view) {
    const { content } = message;
    const decoded = content.coding !== null && content.undecodable === null;
    const sources = [];
    if (content.length > 0) {
        const path = api.paths.content(id, which, { decoded, secrets });
        if (pretty.kind(content.type) === "image") {
            sources.push({ label: "Image", as: "image", path: api.paths.content(id, which, { decoded, secrets, image: true }) });
        } else {
            sources.push({ label: "Decoded", as: "decoded", path, type: content.type, length: decoded ? content.decoded : content.length });
        }
    }
    const octets = api.paths.octets(id, which, secrets);
    sources.push({ label: "As sent", as: "sent", path: octets, wrong: message.wrongAt });
    sources.push({ label: "Hex", as: "hex", path: octets, wrong: message.wrongAt });
    const wanted = sources.findIndex((source) => source.as === (message.wrongAt !== null ? "hex" : view));
    const coding = content.coding === null ? "" : decoded ? `, ${visible(content.coding)}: ${size(content.decoded ?? 0)} decoded` : `, ${visible(content.coding)}`;
    return new Content(`${content.length ? `Content, ${size(content.length)}${coding}` : `Octets, ${size(message.length)}`}`, sources, Math.max(0, wanted));
}
