// Editable parameters of one interface: builds the fields, reads and validates them.

import { sandbox } from "./demo-client.js";
import { fill } from "./fill.js";
import { API_NAMES } from "./interfaces.js";
import { pick, t } from "./language.js";

/** Values from earlier answers, such as local ids, server ids and a location. They fill the fields of later calls. */
const memory = new Map();
const watchers = [];

export function remember(brought) {
  // A value missing from the answer leaves its field unchanged.
  const useful = Object.entries(brought).filter(([, value]) => value !== undefined && !Number.isNaN(value));
  const found = {};
  for (const [name, value] of useful) {
    memory.set(name, value);
    found[name] = value;
  }
  for (const refill of watchers) refill(found);
}

/** Builds the fields into `box` and calls `changed` after every edit. */
export function buildFields(entry, box, changed) {
  const fields = (entry.fields || []).map((field) => buildField(entry, field, changed));
  fill(box, ...fields.map((field) => field.box));
  watchers.push((found) => {
    for (const field of fields) if (field.data.from in found && !field.edited) field.refill(found[field.data.from]);
    changed();
  });
  return { read: () => readAll(entry, fields), showMistakes: (on) => fields.forEach((field) => field.showMistake(on)) };
}

/** Returns `{args, mistakes}`: the parameters for the call, and what is wrong with them. */
function readAll(entry, fields) {
  const args = {};
  const mistakes = [];
  for (const field of fields) {
    const { value, mistake } = field.read();
    if (mistake) mistakes.push({ name: field.data.name, mistake, source: field.data.source });
    else if (value !== undefined) args[field.data.name] = value;
  }
  return { args: entry.shape && !mistakes.length ? entry.shape(args) : args, mistakes };
}

function buildField(entry, data, changed) {
  const id = `p-${entry.name.replace(/\W/g, "-")}-${data.name}`;
  const box = document.getElementById("t-field").content.firstElementChild.cloneNode(true);
  const control = CONTROLS[data.kind](id, data);
  box.classList.toggle("field-wide", ["flags", "list", "json"].includes(data.kind));
  const label = box.querySelector("label");
  const error = box.querySelector(".field-error");
  error.id = `${id}-error`;
  const field = { data, box, edited: false };
  label.textContent = data.name;
  label.htmlFor = id;
  if (data.required)
    label.append(Object.assign(document.createElement("span"), { className: "required", textContent: t("required", "必填") }));
  box.querySelector(".field-control").append(control.element);
  const hint = box.querySelector(".field-hint");
  hint.textContent = pick(data.hint);
  hint.hidden = !data.hint;
  hint.id = `${id}-hint`;
  if (data.kind === "flags") {
    // Several controls form a named group; a label can only name one control.
    const name = Object.assign(document.createElement("span"), { className: "field-name", id: `${id}-name` });
    name.append(...label.childNodes);
    label.replaceWith(name);
    control.element.setAttribute("role", "group");
    control.element.setAttribute("aria-labelledby", name.id);
  }
  control.element.setAttribute("aria-describedby", [data.hint && hint.id, error.id].filter(Boolean).join(" "));
  control.write(initial(data));
  field.read = () => {
    const { value, mistake } = control.read();
    if (mistake) return { mistake };
    const empty = value === "" || value === undefined || (Array.isArray(value) && !value.length);
    if (empty && data.required) return { mistake: emptyWords(data) };
    return { value: empty && data.kind !== "list" && data.kind !== "flags" ? undefined : value };
  };
  field.showMistake = (on) => {
    const { mistake } = on ? field.read() : {};
    error.textContent = mistake || "";
    error.hidden = !mistake;
    const target = data.kind === "flags" ? null : control.element;
    if (target && mistake) target.setAttribute("aria-invalid", "true");
    else if (target) target.removeAttribute("aria-invalid");
  };
  field.refill = (value) => {
    control.write(value);
    field.showMistake(!error.hidden);
  };
  box.addEventListener("input", () => {
    field.edited = true;
    field.showMistake(true);
    changed();
  });
  return field;
}

function emptyWords({ source, name }) {
  if (source) return t(`empty: call ${source} first, it fills this in`, `为空：请先调用 ${source}，它会自动填入`);
  return t(`${name} is needed`, `请填写 ${name}`);
}

function initial(data) {
  if (memory.has(data.from)) return memory.get(data.from);
  const value = sandbox && data.sandbox !== undefined ? data.sandbox : data.value;
  if (data.kind === "text") return resolve(Array.isArray(value) ? pick(value) : value);
  if (value === "@apis") return API_NAMES.slice();
  return data.kind === "list" ? value.map(resolve) : value;
}

function resolve(value) {
  if (value === "@page") return location.href;
  return value.startsWith("@") ? new URL(`static/${value.slice(1)}`, location.href).href : value;
}

const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
const plain = { autocomplete: "off", spellcheck: false };

/** Per kind: its element, and how to read (`{value}` or `{mistake}`) and write it. */
const CONTROLS = {
  text(id) {
    const element = make("input", { id, type: "text", className: "entry", ...plain });
    return { element, read: () => ({ value: element.value.trim() }), write: (value) => (element.value = value) };
  },
  number(id, { min, max }) {
    const element = make("input", { id, type: "text", inputMode: "decimal", className: "entry", ...plain });
    const read = () => {
      const text = element.value.trim();
      if (text === "") return { value: undefined };
      const value = Number(text);
      if (Number.isNaN(value)) return { mistake: t("not a number", "不是数字") };
      if (value < min || value > max) return { mistake: t(`from ${min} to ${max}`, `须在 ${min} 到 ${max} 之间`) };
      return { value };
    };
    return { element, read, write: (value) => (element.value = value) };
  },
  choice(id, { options }) {
    const element = make("select", { id, className: "entry" });
    const words = (option) => (option === "" ? t("(any)", "（不限）") : String(option));
    element.append(...options.map((option, at) => make("option", { value: at, textContent: words(option) })));
    return {
      element,
      read: () => ({ value: options[element.value] }),
      write: (value) => (element.value = options.indexOf(value)),
    };
  },
  flags(id, { options }) {
    const element = make("div", { id, className: "flags" });
    const boxes = options.map((option, at) => {
      const box = make("input", { type: "checkbox", id: `${id}-${at}`, value: option });
      const label = make("label", { htmlFor: box.id });
      label.append(box, option.replace("menuItem:", ""));
      element.append(label);
      return box;
    });
    const read = () => ({ value: boxes.filter((box) => box.checked).map((box) => box.value) });
    return { element, read, write: (value) => boxes.forEach((box) => (box.checked = value.includes(box.value))) };
  },
  list(id) {
    const element = make("textarea", { id, rows: 3, className: "entry mono", ...plain });
    const lines = () => element.value.split("\n").map((line) => line.trim());
    return { element, read: () => ({ value: lines().filter(Boolean) }), write: (value) => (element.value = value.join("\n")) };
  },
  json(id) {
    const element = make("textarea", { id, rows: 3, className: "entry mono", ...plain });
    const read = () => {
      try {
        const value = JSON.parse(element.value || "{}");
        if (value && typeof value === "object") return { value };
        return { mistake: t("must be an object, such as {}", "须为对象，例如 {}") };
      } catch (error) {
        return { mistake: t(`not JSON: ${error.message}`, `不是合法的 JSON：${error.message}`) };
      }
    };
    return { element, read, write: (value) => (element.value = JSON.stringify(value, null, 2)) };
  },
};
