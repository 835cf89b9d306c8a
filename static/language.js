// The page's language, and a sentence in it. Texts stand side by side, English and Chinese, where they are used.

export const chinese = document.body.dataset.lang !== "en";

/** The sentence in the page's language. */
export function t(en, zh) {
  return chinese ? zh : en;
}

/** The same for a pair, as the data has them; a text that is the same in both languages may stand alone. */
export function pick(pair) {
  return Array.isArray(pair) ? t(pair[0], pair[1]) : pair || "";
}
