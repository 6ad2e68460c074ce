/**
 * Elements, made by script alone: whatever a peer sent becomes a text node, never markup.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 *
 * @param {string} tag its name.
 * @param {Object<string, unknown>} [attributes] attributes; those that begin with "on" are listeners,
 *     true is an attribute without a value, and false, null and undefined are none.
 * @param {...(Node|string|null|undefined|false)} children what is in it; strings are text.
 * @returns {HTMLElement} the element.
 */
export function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === false || value === null || value === undefined) continue;
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return element;
}

/**
 * Make an icon of the sprite.
 *
 * @param {string} name its name in icons.svg.
 * @returns {SVGElement} the icon, which is hidden from screen readers: a name stands beside it.
 */
export function icon(name) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS(SVG, "use");
    use.setAttribute("href", `icons.svg#${name}`);
    svg.append(use);
    return svg;
}

/**
 * Make a button with an icon, a word, or both.
 *
 * @param {{label: string, icon?: string, text?: boolean, class?: string}} look what it is called, its icon,
 *     and whether its name is written on it.
 * @param {(event: Event) => void} onclick what it does.
 * @returns {HTMLButtonElement} the button.
 */
export function button({ label, icon: name, text = !name, class: kind = "" }, onclick) {
    return h(
        "button",
        { type: "button", class: `button ${kind}`, title: text ? null : label, "aria-label": text ? null : label, onclick },
        name && icon(name),
        text && label,
    );
}

/**
 * Make a choice of a few: radio buttons that look like one control.
 *
 * @param {string} label what is chosen.
 * @param {Array<[string, string]>} options values, and what they are called.
 * @param {string} chosen the value that is chosen at first.
 * @param {(value: string) => void} onchange told the value that is chosen.
 * @returns {HTMLElement} the control.
 */
export function choice(label, options, chosen, onchange) {
    const name = `choice-${++choices}`;
    return h(
        "fieldset",
        { class: "choice" },
        h("legend", { class: "unseen" }, label),
        ...options.map(([value, text]) =>
            h(
                "label",
                {},
                h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onchange(value) }),
                h("span", {}, text),
            ),
        ),
    );
}

let choices = 0;

/**
 * Find an element of the page by its id.
 *
 * @param {string} id the id.
 * @returns {any} the element.
 */
export const byId = (id) => document.getElementById(id);
