// Builds the groups and cards from interfaces.js: one card per interface, with call, parameters and result.

import { call } from "./demo-calls.js";
import { log } from "./demo-log.js";
import { buildFields, remember } from "./demo-parameters.js";
import { showResult } from "./demo-result.js";
import { fill } from "./fill.js";
import { GROUPS } from "./interfaces.js";
import { pick, t } from "./language.js";
import { compareUrls } from "./demo-banner.js";

const cards = new Map(); // name -> {element, entry, form, support}
const clone = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

export function buildCards() {
  fill(document.getElementById("groups"), ...GROUPS.map(buildGroup));
}

function buildGroup(group) {
  const element = clone("t-group");
  element.id = `group-${group.id}`;
  element.querySelector("use").setAttribute("href", `#i-${group.icon}`);
  element.querySelector(".group-title").textContent = pick(group.title);
  element.querySelector(".group-names").textContent = group.list.map((entry) => entry.name).join(" · ");
  element.querySelector(".group-count").textContent = group.list.length;
  element.querySelector(".apis").append(...group.list.map(buildCard));
  return element;
}

function buildCard(entry) {
  const element = clone("t-card");
  const part = (name) => element.querySelector(name);
  const id = entry.name.replace(/\W/g, "-");
  element.dataset.card = entry.name;
  part(".card-title").textContent = pick(entry.title);
  part(".api-name").append(...breakable(entry.name));
  const body = part(".card-body");
  body.id = `body-${id}`;
  const toggle = part(".card-toggle");
  toggle.setAttribute("aria-controls", body.id);
  toggle.addEventListener("click", () => unfold(element, body.hidden));
  tag(part(".tags"), entry);
  say(part(".about"), entry.about);
  say(part(".needs-text"), entry.needs && entry.needs[1]);
  part(".stage").dataset.stage = entry.name;
  const run = part(".run");
  run.dataset.api = entry.name;
  run.textContent = labelOf(entry);
  run.setAttribute("aria-label", `${labelOf(entry)} ${entry.name}`);
  const code = part(".call code");
  const preview = () => (code.textContent = callText(entry, card.form.read().args));
  const card = { element, entry, support: undefined };
  card.form = buildFields(entry, part(".fields"), () => preview());
  part(".fields").hidden = !(entry.fields || []).length;
  // Associates the button with the form, so that Enter in a field also calls.
  run.setAttribute("form", body.id);
  body.addEventListener("submit", (event) => {
    event.preventDefault();
    press(entry.name);
  });
  preview();
  cards.set(entry.name, card);
  return element;
}

function labelOf({ via }) {
  if (via === "listen" || via === "menu" || via === "rawOn") return t("Listen", "监听");
  return via === "tag" ? t("Render", "渲染") : t("Call", "调用");
}

/** Allows line breaks only before a capital letter or a hyphen. */
function breakable(name) {
  const pieces = name.split(/(?=[A-Z-])/).map((piece, at) => (at ? [document.createElement("wbr"), piece] : piece));
  return [].concat(...pieces);
}

function say(element, pair) {
  element.textContent = pick(pair);
  element.hidden = !pair;
}

function tag(box, entry) {
  const add = (kind, words) =>
    box.append(Object.assign(document.createElement("span"), { className: `tag ${kind}`, textContent: words }));
  const old = entry.replacedBy || entry.name === "onMenuShareWeibo";
  if (old) add("old", t("deprecated", "已废弃"));
  if (entry.needs) add("needs", pick(entry.needs[0]));
  if (entry.replacedBy) {
    box
      .closest(".api")
      .querySelector(".replaced")
      .append(
        t("Deprecated: use ", "已废弃，请改用 "),
        Object.assign(document.createElement("code"), { textContent: entry.replacedBy }),
        t(".", "。"),
      );
  }
  box.closest(".api").querySelector(".replaced").hidden = !entry.replacedBy;
}

function unfold(element, open) {
  element.querySelector(".card-body").hidden = !open;
  element.querySelector(".card-toggle").setAttribute("aria-expanded", String(open));
}

/** Returns the call as source code. */
function callText(entry, args) {
  const object = (extra) =>
    `{ ${[...Object.entries(args).map(([name, value]) => `${name}: ${JSON.stringify(value)}`), ...extra].join(", ")} }`;
  const answers = ["success", "fail"];
  if (entry.via === "tag") {
    const attributes = Object.entries(args).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
    return `<${entry.name}${attributes.join("")}>…</${entry.name}>`;
  }
  if (entry.via === "raw")
    return `wx.invoke(${JSON.stringify(args.name || "")}, ${JSON.stringify(args.args || {})}, (res) => …)`;
  if (entry.via === "rawOn") return `wx.on(${JSON.stringify(args.event || "")}, (res) => …)`;
  if (entry.via === "env") return "wx.miniProgram.getEnv((res) => …)";
  if (entry.via === "invoke") return `wx.invoke("${entry.name}", ${object([]).replace("{  }", "{}")}, (res) => …)`;
  if (entry.via === "listen") return `wx.${entry.name}({ complete })`;
  if (entry.via === "agent") return "await wxJssdk.agentReady({ apis }); // wx.agentConfig";
  if (entry.signs === "card-ext") return 'wx.addCard({ cardList: [await fetch("/jssdk/card-ext?cardId=…")], success, fail })';
  if (entry.signs) return `wx.${entry.name}({ ...await fetch("/jssdk/${entry.signs}?…"), success, fail })`;
  return `wx.${entry.name}(${object(entry.user || entry.via === "menu" ? [...answers, "cancel"] : answers)})`;
}

// --- calls ---

/** Enables the buttons once the client would answer. */
export function wakeCards() {
  for (const { element } of cards.values()) {
    const run = element.querySelector(".run");
    run.disabled = false;
    run.removeAttribute("aria-describedby");
  }
}

/** Shows the result of checkJsApi before each name. */
export function markSupport(known) {
  for (const [name, card] of cards) {
    if (["mini", "env", "raw", "rawOn", "tag"].includes(card.entry.via)) continue;
    card.support = known.includes(name);
    const mark = card.element.querySelector(".support");
    mark.dataset.support = card.support;
    mark.querySelector("use").setAttribute("href", card.support ? "#m-ok" : "#m-bad");
    mark.querySelector("svg").setAttribute("class", `mark ${card.support ? "is-ok" : "is-none"}`);
    mark.querySelector(".unseen").textContent = card.support
      ? t("supported by this client", "客户端支持")
      : t("not supported by this client", "客户端不支持");
    mark.title = mark.textContent;
    card.element.dataset.support = card.support;
  }
  for (const group of GROUPS) countSupported(group);
}

/** Says how many of a group the client supports, if not all of them. */
function countSupported({ id, list }) {
  const refused = list.filter(({ name }) => cards.get(name).support === false).length;
  const able = list.length - refused;
  if (refused)
    document.querySelector(`#group-${id} .group-count`).textContent = t(
      `${able} of ${list.length} supported`,
      `支持 ${able} / ${list.length}`,
    );
}

let running = 0;

function press(name) {
  const card = cards.get(name);
  const { entry, element } = card;
  compareUrls();
  const { args, mistakes } = card.form.read();
  card.form.showMistakes(true);
  const turn = (card.turn = ++running); // after another press of this button, an earlier answer only goes to the log
  const tell = (outcome, res) => {
    if (outcome === "ok" && entry.gives) rememberSafely(entry, res);
    if (card.turn !== turn && !["armed", "menu", "listen", "rawOn"].includes(entry.via)) return;
    announce(showResult(element, entry, outcome, res, card.support));
  };
  if (mistakes.length) {
    unfold(element, true);
    log.begin(name, args).end("blocked", { errMsg: mistakes.map((one) => `${one.name}: ${one.mistake}`).join("; ") });
    return tell("blocked", blockedBy(entry, mistakes));
  }
  const noted = log.begin(name, args);
  tell("pending", {});
  call(entry, args, (outcome, res) => {
    noted.end(outcome, res);
    tell(outcome, res);
  });
}

function rememberSafely(entry, res) {
  try {
    remember(entry.gives(res));
  } catch (error) {
    // an answer of unexpected shape: nothing to remember
  }
}

function blockedBy(entry, mistakes) {
  const cause =
    t("Not called: ", "没有调用：") + mistakes.map((one) => `${one.name} ${one.mistake}`).join(t("; ", "；")) + t(".", "。");
  return { cause, fixes: entry.needs ? [pick(entry.needs[1])] : [] };
}

/** One live region for the page: 68 separate ones would talk over each other. */
function announce(words) {
  document.getElementById("live").textContent = words;
}

export const allCards = () => [...cards.values()];
