/**
 * The rows that the page keeps: as many as it may, small, and found by their id.
 */

import { shorten } from "./format.js";

/** How many rows are kept at most; the oldest go. */
export const LIMIT = 200000;
const _TRIMMED = 190000;
const _GROUPS = 20000;
const _LONG = 400;

/**
 * What many rows have in common, kept once: two hundred thousand exchanges differ in little.
 */
export class Group {
    /**
     * @param {any} json a row as the API says.
     */
    constructor(json) {
        this.type = json.type;
        this.service = json.service;
        this.role = json.role;
        this.host = json.host;
        this.tls = json.tls;
        this.method = json.method === null ? null : shorten(json.method, 64);
        this.version = json.version;
        this.status = json.status;
        this.reason = json.reason === null ? null : shorten(json.reason, _LONG);
        this.mime = json.mime === null ? null : shorten(json.mime, _LONG);
        this.how = json.how;
        this.state = json.state;
        this.marks = json.marks;
        const words = [this.method, this.status, this.reason, this.service, this.host, this.mime, this.version, this.type];
        this.haystack = words.filter((word) => word !== null).join("\n").toLowerCase();
    }
}

/**
 * One row: what is its own, and its group.
 */
export class Row {
    /**
     * @param {any} json a row as the API says.
     */
    constructor(json) {
        this.id = json.id;
        this.number = json.number;
        this.connection = json.connection;
        this.marked = false;
        this.shown = false;
        this.peer = json.peer;
        this.group = null;
    }

    /**
     * Take over what has changed.
     *
     * @param {any} json the row as it is now.
     * @param {Group} group its group.
     */
    update(json, group) {
        this.group = group;
        this.sequence = json.sequence;
        this.target = json.target === null ? null : shorten(json.target, _LONG);
        this.started = json.started;
        this.duration = json.duration;
        this.requestLength = json.requestLength;
        this.responseLength = json.responseLength;
        // The part of it before the first octet of the answer.
        this.waited = json.timings && json.duration ? _share(json) : 1;
        this.messages = json.messages;
        this.closeCode = json.closeCode;
        this.closeReason = json.closeReason && shorten(json.closeReason, 125);
        this.wrong = shorten(json.wrong, _LONG);
        this.notes = json.notes;
        this.again = json.again;
        this.haystack = [this.target, this.peer, this.wrong, this.closeReason].filter(Boolean).join("\n").toLowerCase();
    }

    /** @returns {number|null} the status, or the code that a WebSocket was closed with. */
    get outcome() {
        return this.closeCode ?? this.group.status;
    }
}

function _share(json) {
    const until = (json.timings.send ?? 0) + (json.timings.wait ?? 0);
    return Math.min(1, Math.round((until / json.duration) * 100) / 100);
}

export class Rows {
    constructor() {
        this.clear();
    }

    /** Forget all of them. */
    clear() {
        /** All rows, in the order of their numbers. @type {Row[]} */
        this.all = [];
        this._byId = new Map();
        this._groups = new Map();
    }

    /** @param {string} id of a row. @returns {Row|undefined} the row. */
    get(id) {
        return this._byId.get(id);
    }

    /**
     * Take in rows of the feed.
     *
     * @param {any[]} changed rows as the API says.
     * @param {(row: Row) => void} told of each that is new or changed.
     */
    apply(changed, told) {
        for (const json of changed) {
            let row = this._byId.get(json.id);
            if (row === undefined) {
                row = new Row(json);
                // What is older than all that is kept has gone before.
                if (this._full && row.number < this.all[0].number) continue;
                this._byId.set(row.id, row);
                insert(this.all, row);
            } else if (json.sequence < row.sequence) {
                continue;
            }
            row.update(json, this._group(json));
            told(row);
        }
    }

    /**
     * Drop the oldest where there are too many.
     *
     * @returns {number} the number before which all rows are gone; 0 where none went.
     */
    trim() {
        if (this.all.length <= LIMIT) return 0;
        const gone = this.all.splice(0, this.all.length - _TRIMMED);
        for (const row of gone) this._byId.delete(row.id);
        this._full = true;
        return this.all[0].number;
    }

    _group(json) {
        const key =
            `${json.type}\n${json.service}\n${json.role}\n${json.host}\n${json.tls}\n${json.method}\n${json.version}\n` +
            `${json.status}\n${json.reason}\n${json.mime}\n${json.how}\n${json.state}\n${json.marks}`;
        let group = this._groups.get(key);
        if (group === undefined) {
            // Methods and reasons are a peer's: it may have a new one in each row.
            if (this._groups.size >= _GROUPS) this._groups.clear();
            group = new Group(json);
            this._groups.set(key, group);
        }
        return group;
    }
}

/**
 * Find where a number is, or would be.
 *
 * @param {Row[]} rows in the order of their numbers.
 * @param {number} number a number.
 * @returns {number} the index of the first row with this or a later number.
 */
export function indexOf(rows, number) {
    let low = 0;
    let high = rows.length;
    while (low < high) {
        const middle = (low + high) >>> 1;
        if (rows[middle].number < number) low = middle + 1;
        else high = middle;
    }
    return low;
}

/**
 * Put a row where it belongs: at the end, nearly always.
 *
 * @param {Row[]} rows in the order of their numbers.
 * @param {Row} row another one.
 */
export function insert(rows, row) {
    if (rows.length === 0 || rows[rows.length - 1].number < row.number) rows.push(row);
    else rows.splice(indexOf(rows, row.number), 0, row);
}
