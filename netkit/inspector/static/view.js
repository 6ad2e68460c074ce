/**
 * The rows that match the filter, in their order.
 */

import { indexOf, insert } from "./rows.js";

export class View {
    /**
     * @param {import("./rows.js").Rows} rows all of them.
     */
    constructor(rows) {
        this._all = rows;
        this._matches = () => true;
        /** Those that match, in the order of their numbers. @type {import("./rows.js").Row[]} */
        this.rows = [];
    }

    /**
     * Show those that match.
     *
     * @param {(row: import("./rows.js").Row) => boolean} matches whether one does.
     * @param {boolean} [narrows] whether none does that did not before.
     */
    filter(matches, narrows = false) {
        this._matches = matches;
        const shown = [];
        for (const row of narrows ? this.rows : this._all.all) {
            row.shown = matches(row);
            if (row.shown) shown.push(row);
        }
        this.rows = shown;
    }

    /**
     * A row is new, or has changed.
     *
     * @param {import("./rows.js").Row} row which.
     */
    changed(row) {
        const matches = this._matches(row);
        if (matches === row.shown) return;
        row.shown = matches;
        if (matches) insert(this.rows, row);
        else this.rows.splice(indexOf(this.rows, row.number), 1);
    }

    /**
     * All rows before a number are gone.
     *
     * @param {number} number the first that is still there.
     * @returns {number} how many of those that are shown went.
     */
    trimmed(number) {
        return this.rows.splice(0, indexOf(this.rows, number)).length;
    }

    /** All rows are gone. */
    clear() {
        this.rows = [];
    }
}
