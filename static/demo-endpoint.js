// Requests signatures from this server: for the config and for single interfaces.

import { account, settings } from "./demo-client.js";
import { explainProblem } from "./explain.js";

const PATIENCE = 15000; // ms; a cold server first makes two calls to WeChat

/** A failure with its explanation. */
export class Explained extends Error {
  constructor(words) {
    super(words.says);
    this.words = words;
  }
}

/** Returns the signed answer of `…/config` or a sibling path. `seen` gets every JSON body, including errors. */
export async function askEndpoint(path, parameters, { required, seen = () => {} }) {
  const address = settings.endpoint.replace(/[^/]*$/, path);
  const pairs = Object.entries({ ...parameters, account }).filter(([, value]) => value !== "");
  const query = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  const { response, text } = await fetchText(query ? `${address}?${query}` : address, address);
  let body;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new Explained(explainProblem({ status: response.status, notJson: text }));
  }
  seen(body);
  if (!response.ok) {
    const retryAfter = response.headers.get("Retry-After");
    throw new Explained(explainProblem({ status: response.status, problem: body, retryAfter }));
  }
  const missing = required.filter((field) => !body[field]);
  if (missing.length) throw new Explained(explainProblem({ status: response.status, missing }));
  return body;
}

async function fetchText(address, shown) {
  const impatience = new AbortController();
  const timer = setTimeout(() => impatience.abort(), PATIENCE);
  try {
    const headers = { Accept: "application/json" };
    const response = await fetch(address, { signal: impatience.signal, cache: "no-store", headers });
    return { response, text: await response.text() };
  } catch (error) {
    throw new Explained(explainProblem({ unreachable: shown, slow: error.name === "AbortError" }));
  } finally {
    clearTimeout(timer);
  }
}
