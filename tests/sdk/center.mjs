// The service, its sandbox, and a proxy for SDKs that know only one host.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import http from "node:http";

export const { WX_CENTER: center, WX_SANDBOX: sandbox, WX_API_KEY: key } = process.env;
export const [APP, MINI, CORP, AGENT] = ["wx0123456789abcdef", "wxfedcba9876543210", "ww0123456789abcdef", 1000002];

const AT_THE_CENTER = /^\/cgi-bin\/(token|stable_token|ticket\/get|ticket\/getticket|gettoken|get_jsapi_ticket)(\?|$)/;

/**
 * Without the gateway, an SDK with one base URL needs a proxy that sends token and ticket calls to the center and all others to
 * WeChat: here a dozen lines, in a deployment three of nginx. `calls` are those that went through: `center /cgi-bin/token?…`.
 */
export async function splitting() {
  const calls = [];
  const proxy = http.createServer((request, response) => {
    const mine = AT_THE_CENTER.test(request.url);
    calls.push(`${mine ? "center" : "wechat"} ${request.url}`);
    const { hostname, port } = new URL(mine ? center : sandbox);
    const { method, headers, url: path } = request;
    const onward = http.request({ hostname, port, method, headers, path }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  await new Promise((ready) => proxy.listen(0, "127.0.0.1", ready));
  const close = () => {
    proxy.close();
    proxy.closeAllConnections();
  };
  return { calls, close, url: `http://127.0.0.1:${proxy.address().port}` };
}

export function post(url, body, headers = {}) {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

export async function steer(what, body) {
  const answer = await post(`${sandbox}/sandbox/${what}`, body);
  assert.ok(answer.ok, `${what}: ${answer.status}`);
  return answer;
}

export const revoke = (app) => steer("revoke", { app_id: app === CORP ? `${CORP}:${AGENT}` : app, kind: "token" });

export async function loginCode(app) {
  return (await (await steer("login-codes", { app_id: app })).json()).code;
}

export async function credential(kind, account = "demo") {
  const answer = await requested(kind, account);
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

const requested = (kind, account) => fetch(`${center}/credentials/${account}/${kind}`, { headers: { "x-api-key": key } });

/** Starts a case with valid credentials and without the rate limits of earlier cases. */
export async function fresh() {
  // A refresh under way when the clock jumps would bring a value that is already over.
  for (const [account, kind] of EVERYTHING) await requested(kind, account);
  await steer("advance", { seconds: 3 * 3600 });
  // Nothing else is due while upstream calls are counted.
  for (const [account, kind] of EVERYTHING) await credential(kind, account);
}

/** The tickets of the first two accounts bring their tokens with them. */
const EVERYTHING = [["demo", "jsapi_ticket"], ["demo", "card_ticket"], ["demo-work", "jsapi_ticket"], ["demo-work", "agent_ticket"], ["demo-mini", "access_token"]];

/**
 * Returns a function that returns the later requests to the simulated WeChat, without those of the demo platform, which come
 * when they are due.
 */
export async function upstream() {
  const marker = `marker=${randomUUID()}`;
  await fetch(`${sandbox}/cgi-bin/get?${marker}`);
  return async () => {
    const { requests } = await (await fetch(`${sandbox}/sandbox/requests`)).json();
    const since = requests.slice(requests.findIndex(({ query }) => query === marker) + 1);
    return since.filter(({ path }) => !path.startsWith("/cgi-bin/component/"));
  };
}

export const paths = (requests) => requests.map(({ path }) => path);

/** The upstream calls of a call that was healed by the gateway. */
export const healed = (path, token = "/cgi-bin/stable_token") => [path, token, path];
