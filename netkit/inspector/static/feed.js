/**
 * The live feed: a WebSocket that is opened again when it is gone, and goes on where it was.
 */

const _RETRY = [250, 500, 1000, 2000, 5000];

export class Feed {
    /**
     * @param {Object<string, (message: any) => void>} handlers for each type of message; "state" is told
     *     "live", "paused", "connecting" or "lost", "reset" that all rows come anew.
     */
    constructor(handlers) {
        this._handlers = handlers;
        this._session = null;
        this._sequence = 0;
        this._paused = false;
        this._tries = 0;
        this._socket = null;
    }

    /** @returns {number} the sequence up to which rows have come. */
    get sequence() {
        return this._sequence;
    }

    /** @returns {boolean} whether rows are held back. */
    get paused() {
        return this._paused;
    }

    /** Connect, and stay so. */
    open() {
        const scheme = location.protocol === "https:" ? "wss:" : "ws:";
        const query = new URLSearchParams({ since: String(this._sequence) });
        if (this._session) query.set("session", this._session);
        this._tell("state", this._tries ? "lost" : "connecting");
        this._socket = new WebSocket(`${scheme}//${location.host}/api/feed?${query}`);
        this._socket.addEventListener("message", (event) => this._received(JSON.parse(event.data)));
        this._socket.addEventListener("close", () => this._closed());
    }

    /**
     * Say that the rows up to here have been shown.
     *
     * @param {number} sequence of a message of rows.
     */
    acknowledge(sequence) {
        this._send({ type: "ack", sequence });
    }

    /**
     * Hold rows back, or have them come again.
     *
     * @param {boolean} paused whether to.
     */
    pause(paused) {
        this._paused = paused;
        this._send({ type: paused ? "pause" : "resume" });
        this._tell("state", paused ? "paused" : "live");
    }

    _received(message) {
        if (message.type === "hello") {
            if (!message.resumed || (this._session && this._session !== message.session)) {
                this._sequence = 0;
                this._tell("reset", message);
            }
            this._session = message.session;
            this._tries = 0;
            if (this._paused) this._send({ type: "pause" });
            this._tell("state", this._paused ? "paused" : "live");
        } else if (message.type === "rows" || message.type === "clear") {
            this._sequence = message.sequence;
        }
        this._tell(message.type, message);
    }

    _closed() {
        const wait = _RETRY[Math.min(this._tries, _RETRY.length - 1)];
        this._tries += 1;
        this._tell("state", "lost");
        setTimeout(() => this.open(), wait);
    }

    _send(message) {
        if (this._socket?.readyState === WebSocket.OPEN) this._socket.send(JSON.stringify(message));
    }

    _tell(type, message) {
        this._handlers[type]?.(message);
    }
}
