// The page's language. Texts are written where they are used, in English and Chinese.

export const chinese = document.documentElement.lang.startsWith("zh");

/** Returns the text in the page's language. */
export function t(en, zh) {
  return chinese ? zh : en;
}

/** The same for a pair. A text that is equal in both languages may be a plain string. */
export function pick(pair) {
  return Array.isArray(pair) ? t(pair[0], pair[1]) : pair || "";
}

/** The same for a text of the server. */
export function both({ en, zh }) {
  return t(en, zh);
}

/** Returns the English sentence with a capital letter, unless it begins with a name. */
export function capital(text) {
  return NAME.test(text) ? text : text[0].toUpperCase() + text.slice(1);
}

/** A first word that is an AppID, a domain, a function or a scheme. */
const NAME = /^(?:\S*[\d.]|https? )/;
