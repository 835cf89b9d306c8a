// Requests the signatures of coupons from this server: beside the config, the client script signs only pages.

import { account, scope } from "./demo-client.js";

/** Returns the answer of `card-ext` or `choose-card`. Throws an error like those of the client script. */
export async function signCoupon(path, parameters) {
  const address = `${scope}/${path}`;
  const pairs = Object.entries({ ...parameters, account }).filter(([, value]) => value !== "");
  const query = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  const error = { code: "endpoint_unreachable", address, status: 0 };
  try {
    const response = await fetch(`${address}?${query}`, { cache: "no-store" });
    Object.assign(error, { status: response.status, errMsg: `HTTP ${response.status}` });
    const body = await response.json();
    if (response.ok) return body;
    throw Object.assign(error, { problem: body, retryAfter: Number(response.headers.get("Retry-After")) });
  } catch (_) {
    throw error;
  }
}
