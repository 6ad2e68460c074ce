/**
 * The inspector's API: one function for each thing that is asked for.
 */

/**
 * An answer that says no.
 */
export class ApiError extends Error {
    /**
     * @param {number} status its status; 0 where nothing answers.
     * @param {string} message one line for a person.
     */
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

async function _ask(path, options = {}) {
    let response;
    try {
        response = await fetch(path, options);
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new ApiError(0, "netkit does not answer: has it ended?");
    }
    if (response.ok) return response;
    let message = `${response.status} ${response.statusText}`;
    try {
        message = (await response.json()).error ?? message;
    } catch {
        // Not from the API: its status says enough.
    }
    throw new ApiError(response.status, message);
}

function _query(parameters) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters)) {
        if (value !== undefined && value !== null && value !== false) query.set(name, value === true ? "1" : value);
    }
    const text = query.toString();
    return text && `?${text}`;
}

const _get = async (path, parameters = {}, options = {}) => (await _ask(`/api${path}${_query(parameters)}`, options)).json();

function _change(method, path, content) {
    const options = { method };
    if (content !== undefined) {
        options.headers = { "Content-Type": "application/json" };
        options.body = JSON.stringify(content);
    }
    return _ask(`/api${path}`, options);
}

const _path = encodeURIComponent;

/** @returns {Promise<any>} what is inspected, and what is kept. */
export const overview = () => _get("");

/** @param {string} filter a filter with text:. @param {AbortSignal} signal ends it. @returns {Promise<any>} whom it matches. */
export const matching = (filter, signal) => _get("/exchanges/ids", { filter }, { signal });

/** @param {string} id an exchange. @param {boolean} secrets whether nothing is masked. @returns {Promise<any>} all of it. */
export const exchange = (id, secrets) => _get(`/exchanges/${_path(id)}`, { secrets });

/** @param {string} id an exchange. @param {number} after an index. @param {number} limit how many. @returns {Promise<any>} messages of a WebSocket. */
export const messages = (id, after, limit) => _get(`/exchanges/${_path(id)}/messages`, { after, limit });

/** @param {number} id a connection. @returns {Promise<any>} what is known of it. */
export const connection = (id) => _get(`/connections/${id}`);

/** @param {number} id a connection. @param {number} after an index. @param {number} limit how many. @param {boolean} secrets as above. @returns {Promise<any>} what went over it. */
export const pieces = (id, after, limit, secrets) => _get(`/connections/${id}/pieces`, { after, limit, secrets });

/** Where octets are. Each is a path for octets(). */
export const paths = {
    octets: (id, which, secrets) => `/api/exchanges/${_path(id)}/${which}/octets${_query({ secrets })}`,
    content: (id, which, { decoded = false, secrets = false, image = false } = {}) =>
        `/api/exchanges/${_path(id)}/${which}/content${_query({ decoded, secrets, image })}`,
    message: (id, index) => `/api/exchanges/${_path(id)}/messages/${index}/content`,
    stream: (id, direction, secrets) => `/api/connections/${id}/octets${_query({ direction, secrets })}`,
};

/**
 * Get some of the octets that are somewhere.
 *
 * @param {string} path one of paths.
 * @param {number} first the first one's offset.
 * @param {number} length how many at most.
 * @returns {Promise<{octets: Uint8Array, total: number|null}>} them, and how many there are in all.
 */
export async function octets(path, first, length) {
    let response;
    try {
        response = await _ask(path, { headers: { Range: `bytes=${first}-${first + length - 1}` } });
    } catch (error) {
        if (error.status === 416) return { octets: new Uint8Array(), total: first };
        throw error;
    }
    const found = new Uint8Array(await response.arrayBuffer());
    const total = /\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "");
    return { octets: found, total: total ? Number(total[1]) : first + found.length };
}

/** Forget everything. @returns {Promise<Response>} its answer. */
export const clear = () => _change("DELETE", "/exchanges");

/** @param {object} what as the API says. @returns {Promise<any>} the exchange that was begun. */
export const send = async (what) => (await _change("POST", "/send", what)).json();

/** @param {object} what format, ids, secrets. @returns {Promise<{name: string, content: Blob}>} a file. */
export async function exportFile(what) {
    const response = await _change("POST", "/export", what);
    const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
    return { name: name ? name[1] : `netkit.${what.format}`, content: await response.blob() };
}

/** @returns {Promise<any>} the services, with their answers and faults. */
export const services = async () => (await _get("/services")).services;

/** @returns {Promise<any>} the kinds of faults that there are. */
export const faultTypes = async () => (await _get("/faults")).types;

/** @param {string} service its name. @param {object} answer what changes. @returns {Promise<Response>} its answer. */
export const setAnswer = (service, answer) => _change("PUT", `/services/${_path(service)}/answer`, answer);

/** @param {string} service its name. @returns {Promise<Response>} its answer. */
export const resetAnswer = (service) => _change("DELETE", `/services/${_path(service)}/answer`);

/** @param {string} service its name. @param {object} fault a fault. @returns {Promise<Response>} its answer. */
export const addFault = (service, fault) => _change("POST", `/services/${_path(service)}/faults`, fault);

/** @param {string} service its name. @param {string} name the fault's. @param {object} fault what changes. @returns {Promise<Response>} its answer. */
export const changeFault = (service, name, fault) => _change("PATCH", `/services/${_path(service)}/faults/${_path(name)}`, fault);

/** @param {string} service its name. @param {string} name the fault's. @returns {Promise<Response>} its answer. */
export const removeFault = (service, name) => _change("DELETE", `/services/${_path(service)}/faults/${_path(name)}`);
