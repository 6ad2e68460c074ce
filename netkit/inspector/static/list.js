/**
 * The list: as many elements as fit on the screen, whatever the number of rows, used again as one scrolls.
 */

import { h } from "./dom.js";
import { duration, size, time, visible } from "./format.js";

const _CELLS = ["mark", "time", "service", "method", "target", "status", "peer", "mime", "sent", "answered", "duration", "waterfall"];
const _SPARE = 6;

/** One element of the list, which shows one row after another. */
class Line {
    constructor(number) {
        this.texts = {};
        this.element = h("div", { class: "row", role: "row", id: `row-${number}` });
        for (const name of _CELLS) {
            const text = document.createTextNode("");
            const cell = h("div", { class: `cell ${name}`, role: "gridcell" }, text);
            if (name === "waterfall") cell.append((this.bar = h("i", { class: "bar" })));
            this.texts[name] = text;
            this.element.append(cell);
        }
        this.row = null;
        this.sequence = -1;
        this.index = -1;
        this.look = "";
    }

    write(name, text) {
        const node = this.texts[name];
        if (node.nodeValue !== text) node.nodeValue = text;
    }

    show(row) {
        if (this.row === row && this.sequence === row.sequence) return;
        this.row = row;
        this.sequence = row.sequence;
        const group = row.group;
        const plain = group.type === "tcp";
        this.write("time", time(row.started));
        this.write("service", group.service);
        this.write("method", plain ? "TCP" : group.type === "websocket" ? "WS" : visible(group.method ?? "\u2014"));
        this.write("target", visible(row.target ?? describe(row)));
        this.write("status", outcome(row));
        this.write("peer", visible(row.peer));
        this.write("mime", visible(group.type === "websocket" ? `${row.messages} messages` : plain ? `${row.messages} pieces` : (group.mime ?? "")));
        this.write("sent", size(row.requestLength));
        this.write("answered", size(row.responseLength));
        this.write("duration", group.state === "open" ? "open" : duration(row.duration));
    }

    dress(row, selected) {
        const { marks, state, type } = row.group;
        const status = row.group.status;
        const tone = marks.includes("error")
            ? "bad"
            : marks.includes("refused") || status >= 400
              ? "poor"
              : status >= 300
                ? "moved"
                : "good";
        const look = `row ${type} ${state} ${tone}${marks.includes("fault") ? " fault" : ""}${marks.includes("refused") ? " refused" : ""}${
            row.marked ? " marked" : ""
        }${selected ? " selected" : ""}`;
        if (look === this.look) return;
        this.look = look;
        this.element.className = look;
        this.element.setAttribute("aria-selected", String(selected));
        const words = [row.marked && "\u2605", marks.includes("fault") && "\u26a1", marks.includes("refused") && "\u2298", marks.includes("error") && "!", row.again !== null && "\u21bb"];
        this.write("mark", words.find(Boolean) || (state === "open" ? "\u25cb" : "\u25cf"));
    }
}

/**
 * Say what became of a row: a status, a code, or how it ended.
 *
 * @param {import("./rows.js").Row} row which.
 * @returns {string} a word.
 */
export function outcome(row) {
    const { status, state, how, type } = row.group;
    if (type === "websocket" && row.closeCode !== null) return String(row.closeCode);
    if (status !== null) return String(status);
    if (state === "open") return "\u2026";
    return how === "done" ? "done" : (how ?? state);
}

/**
 * Say what a row without a target is.
 *
 * @param {import("./rows.js").Row} row which.
 * @returns {string} a few words.
 */
export function describe(row) {
    if (row.wrong) return row.wrong;
    return row.group.role === "client" ? `to ${row.peer}` : `on ${row.group.host}`;
}

export class List {
    /**
     * @param {HTMLElement} element what scrolls; a grid.
     * @param {{rows: () => import("./rows.js").Row[], newestFirst: () => boolean,
     *     selected: (row: import("./rows.js").Row|null) => void, held: (held: boolean) => void}} source
     *     the rows, their order, and who is told what somebody does.
     */
    constructor(element, source) {
        this._element = element;
        this._source = source;
        this._space = h("div", { class: "space", role: "rowgroup" });
        element.append(this._space);
        this._lines = [];
        this._selected = null;
        this._following = true;
        this._length = 0;
        this._height = 24;
        this._head = 0;
        this._moved = false;
        element.addEventListener("scroll", () => this._scrolled(), { passive: true });
        element.addEventListener("click", (event) => this._clicked(event));
        new ResizeObserver(() => this.resize()).observe(element);
    }

    /** @returns {import("./rows.js").Row|null} the row that is selected. */
    get selected() {
        return this._selected;
    }

    /** @returns {boolean} whether the newest row is kept in sight. */
    get following() {
        return this._following;
    }

    set following(following) {
        this._following = following;
        this._source.held(!following);
        this.draw();
    }

    /** The window, or the size of letters, has changed. */
    resize() {
        this._head = this._space.offsetTop;
        this._height = parseFloat(getComputedStyle(this._element).getPropertyValue("--row")) || 24;
        const count = Math.ceil(this._element.clientHeight / this._height) + _SPARE;
        while (this._lines.length < count) {
            const line = new Line(this._lines.length);
            this._lines.push(line);
            this._space.append(line.element);
        }
        while (this._lines.length > count) this._lines.pop().element.remove();
        for (const line of this._lines) line.index = -1;
        this.draw();
    }

    /** Rows were dropped at their old end: what is looked at stays where it is. @param {number} dropped how many. */
    dropped(dropped) {
        this._length -= dropped;
        if (!this._following && !this._source.newestFirst()) this._element.scrollTop -= dropped * this._height;
    }

    /** Show what there is now. */
    draw() {
        const rows = this._source.rows();
        const first = this._source.newestFirst();
        const length = rows.length;
        if (length !== this._length) {
            this._space.style.height = `${length * this._height}px`;
            this._element.setAttribute("aria-rowcount", String(length + 1));
            if (first && !this._following) this._scroll(this._element.scrollTop + (length - this._length) * this._height);
            this._length = length;
        }
        if (this._following) this._scroll(first ? 0 : Math.max(0, length * this._height + this._head - this._element.clientHeight));
        const top = this._element.scrollTop;
        const begin = Math.max(0, Math.min(Math.floor(top / this._height) - (_SPARE >> 1), length - this._lines.length));
        const count = this._lines.length;
        let from = Infinity;
        let until = 0;
        const now = Date.now() / 1000;
        for (let index = begin; index < Math.min(length, begin + count); index++) {
            const row = rows[first ? length - 1 - index : index];
            from = Math.min(from, row.started);
            until = Math.max(until, row.started + (row.duration ?? Math.max(0, Math.min(now - row.started, 1))));
        }
        const scale = 1 / Math.max(until - from, 0.001);
        for (let offset = 0; offset < count; offset++) {
            const index = begin + offset;
            const line = this._lines[index % count];
            if (index >= length) {
                line.element.hidden = true;
                continue;
            }
            if (line.element.hidden) line.element.hidden = false;
            const row = rows[first ? length - 1 - index : index];
            if (line.index !== index) {
                line.index = index;
                line.element.style.transform = `translateY(${index * this._height}px)`;
                line.element.setAttribute("aria-rowindex", String(index + 2));
            }
            line.show(row);
            line.dress(row, row === this._selected);
            const open = row.duration === null;
            const left = (row.started - from) * scale;
            const width = open ? 1 - left : row.duration * scale;
            line.bar.style.setProperty("--left", `${(left * 100).toFixed(1)}%`);
            line.bar.style.setProperty("--width", `${(width * 100).toFixed(1)}%`);
            line.bar.style.setProperty("--waited", `${row.waited * 100}%`);
            if (row === this._selected && this._active !== line) {
                this._active = line;
                this._element.setAttribute("aria-activedescendant", line.element.id);
            }
        }
    }

    /**
     * Select a row.
     *
     * @param {import("./rows.js").Row|null} row which; null for none.
     * @param {boolean} [seen] whether to scroll to it.
     */
    select(row, seen = true) {
        this._selected = row;
        this._active = null;
        if (row === null) this._element.removeAttribute("aria-activedescendant");
        else if (seen) this._reveal(row);
        this.draw();
        this._source.selected(row);
    }

    /**
     * Select a row further on.
     *
     * @param {number} steps how many lines down; infinite for the ends.
     */
    move(steps) {
        const rows = this._source.rows();
        if (rows.length === 0) return;
        const first = this._source.newestFirst();
        const at = this._selected?.shown ? rows.indexOf(this._selected) : -1;
        let line = at < 0 ? (steps > 0 ? -1 : rows.length) : first ? rows.length - 1 - at : at;
        if (at < 0 && Math.abs(steps) === 1 && this._following && !first) line = rows.length;
        line = Math.max(0, Math.min(rows.length - 1, line + steps));
        this.select(rows[first ? rows.length - 1 - line : line]);
    }

    /** @returns {number} how many lines are in sight. */
    get page() {
        return Math.max(1, Math.floor(this._element.clientHeight / this._height) - 1);
    }

    _reveal(row) {
        const rows = this._source.rows();
        const at = rows.indexOf(row);
        if (at < 0) return;
        const line = this._source.newestFirst() ? rows.length - 1 - at : at;
        const top = line * this._height;
        const visible = this._element.clientHeight - this._head;
        if (this._following && line !== (this._source.newestFirst() ? 0 : rows.length - 1)) {
            this._following = false;
            this._source.held(true);
        }
        if (top < this._element.scrollTop) this._scroll(top);
        else if (top + this._height > this._element.scrollTop + visible) this._scroll(top + this._height - visible);
    }

    _scroll(top) {
        if (Math.abs(this._element.scrollTop - top) < 1) return;
        this._moved = true;
        this._element.scrollTop = top;
    }

    _scrolled() {
        if (this._moved) {
            this._moved = false;
        } else {
            const end = this._element.scrollHeight - this._element.clientHeight;
            const top = this._element.scrollTop;
            const following = this._source.newestFirst() ? top < this._height : top > end - this._height;
            if (following !== this._following) {
                this._following = following;
                this._source.held(!following);
            }
        }
        this.draw();
    }

    _clicked(event) {
        const element = event.target.closest(".row");
        const line = this._lines.find((each) => each.element === element);
        if (line?.row) this.select(line.row, false);
    }
}
