/**
 * What the services answer, and the faults that strike them, changed from the page.
 */

import * as api from "./api.js";
import { fieldLines, readFields } from "./compose.js";
import { openDialog, toast } from "./dialogs.js";
import { button, h } from "./dom.js";
import { count, visible } from "./format.js";

/**
 * The dialog of answers and faults.
 */
export class Services {
    /**
     * @param {boolean} readOnly whether nothing can be changed.
     */
    constructor(readOnly) {
        this._readOnly = readOnly;
        this._dialog = null;
    }

    /** Open it. */
    async open() {
        this._body = h("div", { class: "services" }, h("p", { class: "dim" }, "\u2026"));
        this._dialog = openDialog("Answers and faults", "wide", this._body);
        this._dialog.addEventListener("close", () => (this._dialog = null));
        try {
            this._types = await api.faultTypes();
            this.show(await api.services());
        } catch (error) {
            this._body.replaceChildren(h("p", { class: "trouble" }, error.message));
        }
    }

    /**
     * Show how they are now, where it is open and nobody types in it.
     *
     * @param {any[]} services as the API says.
     */
    show(services) {
        if (!this._dialog || !this._types) return;
        if (this._dialog.querySelector("form.changed")) return;
        const cards = services.map((service) => this._card(service));
        this._body.replaceChildren(...(cards.length ? cards : [h("p", { class: "dim" }, "There are no services here: this is a recording.")]));
    }

    _card(service) {
        return h(
            "section",
            { class: "card", "aria-label": service.name },
            h("h3", {}, service.name, h("span", { class: "dim" }, ` ${service.addresses.join(", ")} \u00b7 ${count(service.connections)} open`)),
            service.answer && this._answer(service),
            service.faults && this._faults(service),
            !service.answer && !service.faults && h("p", { class: "dim" }, "Nothing of it can be changed."),
        );
    }

    async _do(action, told) {
        try {
            await action();
            for (const form of this._body.querySelectorAll("form.changed")) form.classList.remove("changed");
            this.show(await api.services());
            toast(told);
        } catch (error) {
            toast(error.message, true);
        }
    }

    _form(label, ...parts) {
        const form = h("form", { class: "form", "aria-label": label, onsubmit: (event) => event.preventDefault(), oninput: () => form.classList.add("changed") }, ...parts);
        if (this._readOnly) for (const element of form.elements) element.disabled = true;
        return form;
    }

    _answer({ name, answer }) {
        const text = answer.content?.text ?? "";
        const binary = answer.content?.base64 !== undefined;
        const content = _area("content", text, 4);
        content.disabled = binary;
        const put = () =>
            this._do(() => {
                const values = { status: Number(form.elements.status.value), delay: Number(form.elements.delay.value), fields: readFields(form.elements.fields.value) };
                if (!binary && (content.value !== text || answer.content)) values.content = name !== "http" && content.value === "" ? null : { text: content.value };
                return api.setAnswer(name, values);
            }, `${name} answers differently from now on`);
        const form = this._form(
            `Answer of ${name}`,
            h(
                "div",
                { class: "formrow" },
                _labelled("Status", _number("status", answer.status, { min: 100, max: 599, step: 1 })),
                _labelled("Delay, s", _number("delay", answer.delay, { min: 0, step: "any" })),
                _labelled("Fields", _area("fields", fieldLines(answer.fields), 4), "grow"),
                _labelled(answer.content === null ? "Content (empty: what came goes back)" : binary ? "Content (binary: stays as it is)" : "Content", content, "grow"),
            ),
            h("div", { class: "actions" }, button({ label: "As at the start" }, () => this._do(() => api.resetAnswer(name), `${name} answers as at the start`)), button({ label: "Answer so", class: "primary" }, put)),
        );
        return form;
    }

    _faults({ name, faults }) {
        const list = faults.map((fault) =>
            h(
                "li",
                {},
                h("b", {}, visible(fault.name)),
                ` ${fault.type}, ${fault.stream}, ${Object.entries(fault.attributes).map(([key, value]) => `${key} ${value}`).join(", ")}${fault.toxicity < 1 ? `, one in ${Math.round(1 / (fault.toxicity || 1e-9))}` : ""}`,
                !this._readOnly && button({ label: `Remove ${fault.name}`, icon: "close", class: "small" }, () => this._do(() => api.removeFault(name, fault.name), "The fault is gone")),
            ),
        );
        return h("div", { class: "faults" }, faults.length ? h("ul", { "aria-label": `Faults of ${name}` }, ...list) : h("p", { class: "dim" }, "No faults."), this._types.length ? this._newFault(name) : "");
    }

    _newFault(service) {
        const attributes = h("div", { class: "formrow grow" });
        const kind = h("select", { name: "type", onchange: () => draw() }, ...this._types.map((each) => h("option", { value: each.type, title: each.description }, each.type)));
        const draw = () => {
            const chosen = this._types.find((each) => each.type === kind.value);
            attributes.replaceChildren(...Object.entries(chosen.attributes).map(([key, meaning]) => _attribute(key, meaning)));
        };
        const add = () =>
            this._do(() => {
                const chosen = this._types.find((each) => each.type === kind.value);
                const values = {};
                for (const key of Object.keys(chosen.attributes)) {
                    const { value } = form.elements.namedItem(`attribute-${key}`);
                    if (value !== "") values[key] = Number.isNaN(Number(value)) ? value : Number(value);
                }
                return api.addFault(service, { type: kind.value, stream: form.elements.stream.value, toxicity: Number(form.elements.toxicity.value), attributes: values });
            }, `Faults strike ${service} from now on`);
        draw();
        const form = this._form(
            `New fault of ${service}`,
            h(
                "div",
                { class: "formrow" },
                _labelled("Fault", kind),
                _labelled("Direction", h("select", { name: "stream" }, h("option", { value: "downstream" }, "to the client"), h("option", { value: "upstream" }, "from the client"))),
                _labelled("Share", _number("toxicity", 1, { min: 0, max: 1, step: "any" })),
                attributes,
                button({ label: "Add fault", icon: "bolt", text: true }, add),
            ),
        );
        return form;
    }
}

function _labelled(label, control, kind = "") {
    return h("label", { class: kind }, h("span", {}, label), control);
}

/** Have an attribute of a fault typed in: its meaning is its unit, and what holds where nothing is typed. */
function _attribute(key, meaning) {
    const [unit, otherwise = ""] = meaning.split(", ");
    const input = h("input", { type: "text", name: `attribute-${key}`, inputmode: "decimal", placeholder: otherwise.replace("has to be said", "needed").replace(" by default", "") });
    return _labelled(unit === "number" ? key : `${key}, ${unit}`, input);
}

function _number(name, value, limits) {
    const input = h("input", { type: "number", name, ...limits });
    input.value = String(value);
    return input;
}

function _area(name, value, rows) {
    const area = h("textarea", { name, rows, spellcheck: "false" });
    area.value = value;
    return area;
}
