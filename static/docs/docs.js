// API description page: copy buttons, search, and the mark of the entry being read. Without it the page can still be read.

import { startCopy } from "./copy.js";
import { fill } from "./fill.js";

const nav = document.querySelector(".docs-nav");
const list = nav.querySelector(".docs-list");
const found = nav.querySelector(".docs-found");
const contents = document.getElementById("toc");
const search = document.getElementById("search");
const note = document.getElementById("note");
const entries = entriesOf(document, "");
let others;
let chosen;

nav.querySelector(".search").hidden = false;
startCopy();

// ---------- search ----------

/** Everything that can be found in a document; `page` is its address. */
function entriesOf(of, page) {
  return [...of.querySelectorAll("[data-entry]")].map((one) => ({
    href: `${page}#${one.id}`,
    name: one.dataset.entry,
    about: one.dataset.about || "",
    title: `${one.dataset.entry} ${one.dataset.about || ""}`.toLowerCase(),
    text: one.textContent.toLowerCase(),
  }));
}

/** Reads the other of the two pages, once. */
function otherEntries() {
  const page = nav.dataset.other;
  if (others) return others;
  others = fetch(page)
    .then((reply) => reply.text())
    .then((html) => entriesOf(new DOMParser().parseFromString(html, "text/html"), page))
    .catch(() => []);
  return others;
}

async function find() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const asked = search.value;
  list.hidden = words.length > 0;
  found.hidden = !words.length;
  if (!words.length) return (note.textContent = "");
  const all = [...entries, ...(await otherEntries())];
  if (search.value !== asked) return;
  const inTitle = (one) => words.every((word) => one.title.includes(word));
  const hits = all.filter((one) => words.every((word) => one.title.includes(word) || one.text.includes(word)));
  hits.sort((one, other) => inTitle(other) - inTitle(one));
  fill(found, ...(hits.length ? hits.map(linkTo) : [textOf("p", found.dataset.none)]));
  note.textContent = hits.length ? `${hits.length} ${note.dataset.found}` : found.dataset.none;
}

function linkTo(entry) {
  const link = Object.assign(document.createElement("a"), { href: entry.href });
  link.append(textOf("code", entry.name), textOf("span", entry.about));
  return link;
}

function textOf(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}

search.addEventListener("input", find);
search.addEventListener("keydown", (event) => {
  const first = found.querySelector("a");
  if (event.key === "Enter" && first && !found.hidden) first.click();
  if (event.key === "Escape") leaveSearch();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea")) return;
  event.preventDefault();
  search.focus();
});

function leaveSearch() {
  search.value = "";
  find();
}

// ---------- contents ----------

/** Opens what an address leads to. */
function open() {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id && document.getElementById(id);
  if (!target) return;
  const folded = target.closest("details");
  if (folded) folded.open = true;
  chosen = target.closest("[data-mark]");
  target.scrollIntoView();
  mark();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (!link) return;
  contents.checked = false;
  if (found.contains(link)) leaveSearch();
  // The address may be the same as before: then there is no event.
  setTimeout(open);
});
addEventListener("hashchange", open);

const marked = [...document.querySelectorAll("[data-mark]")];
const links = new Map([...list.querySelectorAll('a[href^="#"]')].map((link) => [link.hash.slice(1), link]));
let isDue = false;

/** Marks the entry at the top of the window in the contents, or the chosen one while it is seen. */
function mark() {
  isDue = false;
  const seen = chosen && chosen.getBoundingClientRect();
  if (!seen || seen.bottom < 0 || seen.top > innerHeight) chosen = null;
  const above = marked.filter((one) => one.getBoundingClientRect().top < innerHeight * 0.3);
  const current = chosen || above.pop() || marked[0];
  const link = current && links.get(current.id);
  if (!link || link.hasAttribute("aria-current")) return;
  for (const one of list.querySelectorAll('[aria-current="true"]')) one.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  // Scrolls the contents alone.
  const place = link.offsetTop - nav.clientHeight / 2;
  if (nav.scrollHeight > nav.clientHeight) nav.scrollTop = place;
}

addEventListener(
  "scroll",
  () => {
    if (!isDue) requestAnimationFrame(mark);
    isDue = true;
  },
  { passive: true },
);
open();
mark();
