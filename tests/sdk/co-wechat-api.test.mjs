// co-wechat-api, as it is on npm, takes its tokens and tickets from this service. Only `prefix` is changed, its own setting for
// the base URL.
//
// Its prefix is one for all calls. Where an SDK knows only one host, a reverse proxy in front sends the token and ticket paths to
// the center and all others to WeChat: here a dozen lines, in a deployment three of nginx.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";
import API from "co-wechat-api";

const { WX_CENTER: center, WX_SANDBOX: sandbox, WX_API_KEY: key } = process.env;
const APP = "wx0123456789abcdef";
const PAGE = "https://demo.example.com/page?a=1&b=2";
const AT_THE_CENTER = /^\/cgi-bin\/(token|stable_token|ticket\/getticket)(\?|$)/;

/** The calls that went through the proxy: `center /cgi-bin/token?…`. */
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

before(() => new Promise((ready) => proxy.listen(0, "127.0.0.1", ready)));
after(() => {
  proxy.close();
  proxy.closeAllConnections();
});

beforeEach(async () => {
  await steer("advance", { seconds: 60 }); // past the thirty seconds between two rejects
  calls.length = 0;
});

function client(base = `http://127.0.0.1:${proxy.address().port}`, secret = key) {
  const api = new API(APP, secret);
  api.prefix = `${base}/cgi-bin/`;
  return api;
}

async function steer(what, body) {
  const answer = await post(`${sandbox}/sandbox/${what}`, body);
  assert.ok(answer.ok, `${what}: ${answer.status}`);
  return answer;
}

function post(url, body, headers = {}) {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

async function credential(kind) {
  const answer = await fetch(`${center}/credentials/demo/${kind}`, { headers: { "x-api-key": key } });
  assert.equal(answer.status, 200);
  return answer.json();
}

async function reject(value) {
  const answer = await post(`${center}/credentials/demo/access_token/reject`, { value }, { "x-api-key": key });
  assert.equal(answer.status, 200);
  return (await answer.json()).value;
}

test("with the center as its base it gets the center's token, with what is left of its life", async () => {
  const api = client(center);
  const now = await credential("access_token");
  const { accessToken, expireTime } = await api.ensureAccessToken();
  assert.equal(accessToken, now.value);
  // It takes ten seconds off by itself.
  assert.ok(Math.abs((expireTime - Date.now()) / 1000 - (now.expires_in - 10)) < 5, `${expireTime} ${now.expires_in}`);
});

test("with the center as its base it signs a page that WeChat accepts", async () => {
  const config = await client(center).getJsConfig({ debug: false, jsApiList: ["chooseImage"], url: PAGE });
  const answer = await steer("pre-verify", { ...config, url: `${PAGE}#route` });
  assert.equal((await answer.json()).err_msg, "preVerifyJSAPI:ok");
});

test("it gets the card ticket, which is another one", async () => {
  const api = client(center);
  const [card, jsapi] = [await api.getTicket("wx_card"), await api.getTicket()];
  assert.equal(card.ticket, (await credential("card_ticket")).value);
  assert.equal(jsapi.ticket, (await credential("jsapi_ticket")).value);
  assert.notEqual(card.ticket, jsapi.ticket);
});

test("behind a proxy that splits the paths it calls WeChat itself with the token", async () => {
  assert.deepEqual(await client().getMenu(), { menu: { button: [] } });
  assert.deepEqual(calls.map((call) => call.split("?")[0]), ["center /cgi-bin/token", "wechat /cgi-bin/menu/get"]);
});

test("its own next request after a reject carries the new token", async () => {
  const api = client();
  await api.getMenu();
  const { accessToken: dead } = await api.ensureAccessToken();
  await steer("revoke", { app_id: APP, kind: "token" });
  const fresh = await reject(dead);
  assert.notEqual(fresh, dead);
  calls.length = 0;
  assert.deepEqual(await api.getMenu(), { menu: { button: [] } });
  // 40001 for the dead one, one question to the center, the same call with the new one.
  const menu = (token) => `wechat /cgi-bin/menu/get?access_token=${token}`;
  assert.deepEqual([calls[0], calls[1].split("?")[0], calls[2]], [menu(dead), "center /cgi-bin/token", menu(fresh)]);
  assert.equal(calls.length, 3);
});

test("a dead token buys no ticket: it asks for the new one and goes on", async () => {
  const api = client();
  const { accessToken: dead } = await api.ensureAccessToken();
  await steer("revoke", { app_id: APP, kind: "token" });
  const fresh = await reject(dead);
  const { ticket } = await api.getTicket();
  assert.equal(ticket, (await credential("jsapi_ticket")).value);
  assert.equal((await api.ensureAccessToken()).accessToken, fresh);
});

test("a wrong key is what a wrong secret is", async () => {
  await assert.rejects(client(center, "wxk_wrong").getAccessToken(), (error) => {
    assert.deepEqual([error.name, error.code], ["WeChatAPIError", 40125]);
    assert.match(error.message, /^invalid appsecret rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/);
    return true;
  });
});
