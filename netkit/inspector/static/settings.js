/**
 * What somebody likes, kept in the browser between visits.
 */

const _KEY = "netkit-inspector";
const _DEFAULTS = { theme: "auto", newest: "last", letters: true, charts: true, split: 0.5 };

function _read() {
    try {
        return { ..._DEFAULTS, ...JSON.parse(localStorage.getItem(_KEY) ?? "{}") };
    } catch {
        return { ..._DEFAULTS };
    }
}

const _settings = _read();

/** @param {string} name a setting. @returns {any} its value. */
export const setting = (name) => _settings[name];

/**
 * Change a setting.
 *
 * @param {string} name its name.
 * @param {unknown} value its value.
 */
export function set(name, value) {
    _settings[name] = value;
    try {
        localStorage.setItem(_KEY, JSON.stringify(_settings));
    } catch {
        // Storage is switched off: it holds for this visit.
    }
}

/**
 * Have the page look as the setting "theme" says: light, dark, or as the system does.
 */
export function applyTheme() {
    document.documentElement.dataset.theme = setting("theme");
}
