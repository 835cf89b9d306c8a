// Shows two strings as a diff, one line for each parameter, and makes invisible characters visible.

import { fill } from "./fill.js";

/**
 * Writes two strings into an element: equal lines once, others as − and +. One string alone is written
 * without signs.
 */
export function showStrings(element, signed, expected) {
  if (!signed || !expected || signed === expected) {
    const alone = [{ text: signed || expected, differs: false }];
    return fill(element, ...linesOf(alone).map((line) => newLine("alone", "", line)));
  }
  const [minus, plus] = difference(signed, expected).map(linesOf);
  const rows = [];
  for (let at = 0; at < Math.max(minus.length, plus.length); at++) {
    if (textOf(minus[at]) === textOf(plus[at])) rows.push(newLine("same", "", minus[at]));
    else rows.push(...pairOf(minus[at], plus[at]));
  }
  fill(element, ...rows);
}

function pairOf(minus, plus) {
  const pair = [];
  if (minus) pair.push(newLine("minus", "−", minus));
  if (plus) pair.push(newLine("plus", "+", plus));
  return pair;
}

/** Splits pieces at the parameters: a list of lines, each a list of pieces. */
function linesOf(pieces) {
  const lines = [[]];
  for (const { text, differs } of pieces) {
    for (const part of text.split(PARAMETERS)) {
      if (!part) continue;
      if (PARAMETER.test(part) && lines[lines.length - 1].length) lines.push([]);
      lines[lines.length - 1].push({ text: part, differs });
    }
  }
  return lines;
}

const textOf = (line) => (line ? line.map(({ text }) => text).join("") : undefined);

function newLine(kind, sign, pieces) {
  const line = document.createElement("div");
  line.className = `diff-line ${kind}`;
  const role = { minus: "deletion", plus: "insertion" }[kind];
  if (role) line.setAttribute("role", role);
  line.dataset.sign = sign;
  const box = document.createElement("span");
  for (const { text, differs } of pieces) {
    const shown = document.createElement(differs ? "mark" : "span");
    shown.textContent = visible(text, differs);
    box.append(shown);
  }
  line.append(box);
  return line;
}

/** Returns the pieces of two strings: `[{text, differs}]` for each. */
function difference(signed, expected) {
  const [a, b] = [tokens(signed), tokens(expected)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [inA, inB] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const [keptA, keptB] = common(inA, inB);
  return [
    joined(a, start, end, keptA),
    joined(b, start, end, keptB),
  ];
}

function joined(all, start, end, kept) {
  const pieces = [];
  const add = (text, differs) => {
    const last = pieces[pieces.length - 1];
    if (last && last.differs === differs) last.text += text;
    else pieces.push({ text, differs });
  };
  all.forEach((token, at) => {
    const outside = at < start || at >= all.length - end;
    add(token, !(outside || kept.has(at - start)));
  });
  return pieces;
}

/**
 * Returns the positions of a longest common subsequence, or empty sets if too little is common or the texts
 * are too long.
 */
function common(a, b) {
  const none = [new Set(), new Set()];
  if (!a.length || !b.length || a.length * b.length > MAX_TABLE) return none;
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  if (table[0][0] * 2 < Math.min(a.length, b.length)) return none;
  const [keptA, keptB] = none;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      keptA.add(i++);
      keptB.add(j++);
    } else if (table[i + 1][j] >= table[i][j + 1]) i += 1;
    else j += 1;
  }
  return [keptA, keptB];
}

/** Splits into escapes, masked tickets, words and single characters. */
function tokens(text) {
  return text.match(/%[0-9A-Fa-f]{2}|\[[^\]]*\]|[A-Za-z0-9_]+|[^]/gu) || [];
}

/** Replaces whitespace that differs with visible signs, but not in a masked ticket. */
function visible(text, differs) {
  if (!differs) return text;
  return text.replace(/\[[^\]]*ticket[^\]]*\]|[\r\n\t\u{feff} \u{a0}]/gu, (found) => SIGNS[found] || found);
}

const SIGNS = { "\r": "␍", "\n": "␊", "\t": "␉", "\u{feff}": "[BOM]", " ": "␣", "\u{a0}": "␣" };

// Line breaks go before these parameters.
const PARAMETERS = /(?=&(?:noncestr|nonce_?str|timestamp|time_?stamp|url)=)/i;
const PARAMETER = /^&(?:noncestr|nonce_?str|timestamp|time_?stamp|url)=/i;

// About 700 tokens each; longer URLs are marked from the first to the last difference.
const MAX_TABLE = 500000;
