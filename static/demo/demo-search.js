// Filters interfaces by name or title in either language, and by the client's support.

import { allCards } from "./demo-cards.js";
import { t } from "./language.js";
import { GROUPS } from "./interfaces.js";

const $ = (id) => document.getElementById(id);
const SHOWN = {
  all: () => true,
  known: ({ support }) => support === true,
  unknown: ({ support }) => support === false,
  plain: ({ entry }) => !entry.needs && !entry.replacedBy,
  used: ({ element }) => !element.querySelector(".result").hidden,
};

export function startSearch() {
  const texts = new Map();
  for (const group of GROUPS) {
    for (const entry of group.list)
      texts.set(
        entry.name,
        [].concat(entry.name, entry.title, entry.needs && entry.needs[0], group.title).join(" ").toLowerCase(),
      );
  }
  const search = () => filter(texts, $("search").value.trim().toLowerCase().split(/\s+/), SHOWN[$("show").value]);
  $("search").addEventListener("input", search);
  $("show").addEventListener("change", search);
  $("search").form.addEventListener("submit", (event) => event.preventDefault());
  // Slash focuses the search box, Escape clears it.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, textarea, select, dialog")) return;
    event.preventDefault();
    $("search").focus();
  });
  $("search").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    $("search").value = "";
    search();
  });
}

function filter(texts, words, wanted) {
  const asked = words.some(Boolean) || wanted !== SHOWN.all;
  let found = 0;
  for (const card of allCards()) {
    const text = texts.get(card.entry.name);
    const hit = words.every((word) => text.includes(word)) && wanted(card);
    card.element.hidden = !hit;
    if (hit) found += 1;
  }
  for (const group of document.querySelectorAll(".group")) {
    const any = group.querySelector(".api:not([hidden])");
    group.hidden = !any;
    // What the search opened it also folds again.
    if (asked && any && !group.open) group.open = group.found = true;
    if (!asked && group.found) group.open = group.found = false;
  }
  $("found").textContent = asked ? t(`${found} found`, `找到 ${found} 个`) : "";
  $("nothing").hidden = found > 0;
  $("groups").hidden = found === 0;
}
