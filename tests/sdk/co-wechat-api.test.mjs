// co-wechat-api, as it is on npm, takes its tokens and tickets from this service, and makes its other calls through it. Only
// `prefix` is changed, its own setting for the base URL, and `snsPrefix` for logins.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import API from "co-wechat-api";
import { APP, MINI, center, credential, fresh, healed, key, loginCode, paths, post, revoke, splitting, steer, upstream } from "./center.mjs";

const PAGE = "https://demo.example.com/page?a=1&b=2";

let proxy;
before(async () => (proxy = await splitting()));
after(() => proxy.close());
beforeEach(async () => {
  await fresh();
  proxy.calls.length = 0;
});

function client(base = proxy.url, secret = key, app = APP) {
  const api = new API(app, secret);
  api.prefix = `${base}/cgi-bin/`;
  api.snsPrefix = `${base}/sns/`;
  return api;
}

async function reject(value) {
  const answer = await post(`${center}/credentials/demo/access_token/reject`, { value }, { "x-api-key": key });
  assert.equal(answer.status, 200);
  return (await answer.json()).value;
}

test("with the center as its base it gets the center's token with its remaining life", async () => {
  const api = client(center);
  const now = await credential("access_token");
  const { accessToken, expireTime } = await api.ensureAccessToken();
  assert.equal(accessToken, now.value);
  // The library subtracts ten seconds itself.
  assert.ok(Math.abs((expireTime - Date.now()) / 1000 - (now.expires_in - 10)) < 5, `${expireTime} ${now.expires_in}`);
});

test("with the center as its base it signs a page that WeChat accepts", async () => {
  const config = await client(center).getJsConfig({ debug: false, jsApiList: ["chooseImage"], url: PAGE });
  const answer = await steer("pre-verify", { ...config, url: `${PAGE}#route` });
  assert.equal((await answer.json()).err_msg, "preVerifyJSAPI:ok");
});

test("it gets the card ticket, which differs from the jsapi ticket", async () => {
  const api = client(center);
  const [card, jsapi] = [await api.getTicket("wx_card"), await api.getTicket()];
  assert.equal(card.ticket, (await credential("card_ticket")).value);
  assert.equal(jsapi.ticket, (await credential("jsapi_ticket")).value);
  assert.notEqual(card.ticket, jsapi.ticket);
});

test("behind a proxy that splits the paths it calls WeChat itself with the token", async () => {
  assert.deepEqual(await client().getMenu(), { menu: { button: [] } });
  assert.deepEqual(proxy.calls.map((call) => call.split("?")[0]), ["center /cgi-bin/token", "wechat /cgi-bin/menu/get"]);
});

test("its own next request after a reject carries the new token", async () => {
  const api = client();
  await api.getMenu();
  const { accessToken: dead } = await api.ensureAccessToken();
  await revoke(APP);
  const fresher = await reject(dead);
  assert.notEqual(fresher, dead);
  proxy.calls.length = 0;
  assert.deepEqual(await api.getMenu(), { menu: { button: [] } });
  // 40001 for the dead token, one request to the center, the same call with the new token.
  const menu = (token) => `wechat /cgi-bin/menu/get?access_token=${token}`;
  assert.deepEqual([proxy.calls[0], proxy.calls[1].split("?")[0], proxy.calls[2]], [menu(dead), "center /cgi-bin/token", menu(fresher)]);
  assert.equal(proxy.calls.length, 3);
});

test("a dead token of a key with calls still gets tickets, and the library's next call replaces it", async () => {
  const api = client();
  const { accessToken: dead } = await api.ensureAccessToken();
  await revoke(APP);
  const fresher = await reject(dead);
  const { ticket } = await api.getTicket();
  assert.equal(ticket, (await credential("jsapi_ticket")).value);
  assert.deepEqual(await api.getMenu(), { menu: { button: [] } });
  assert.equal((await api.ensureAccessToken()).accessToken, fresher);
});

test("a wrong key is reported like a wrong secret", async () => {
  await assert.rejects(client(center, "wxk_wrong").getAccessToken(), (error) => {
    assert.deepEqual([error.name, error.code], ["WeChatAPIError", 40125]);
    assert.match(error.message, /^invalid appsecret rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/);
    return true;
  });
});

test("through the gateway its next call after a token died succeeds without an error", async () => {
  const api = client(center);
  await api.getMenu();
  const { accessToken: dead } = await api.ensureAccessToken();
  await revoke(APP);
  const since = await upstream();
  assert.deepEqual(await api.getMenu(), { menu: { button: [] } });
  assert.deepEqual(paths(await since()), healed("/cgi-bin/menu/get"));
  assert.equal((await api.ensureAccessToken()).accessToken, dead);
  assert.equal((await api.sendText("openid", "hello")).errcode, 0);
});

test("without the gateway its next call after a token died succeeds too: the center checks a token that is requested again", async () => {
  const api = client();
  await api.getMenu();
  await revoke(APP);
  proxy.calls.length = 0;
  const since = await upstream();
  assert.deepEqual(await api.getMenu(), { menu: { button: [] } });
  assert.deepEqual(proxy.calls.map((call) => call.split("?")[0]), ["wechat /cgi-bin/menu/get", "center /cgi-bin/token", "wechat /cgi-bin/menu/get"]);
  assert.deepEqual(paths(await since()), ["/cgi-bin/menu/get", "/cgi-bin/get_api_domain_ip", "/cgi-bin/stable_token", "/cgi-bin/menu/get"]);
});

test("without the gateway a token that died long after it was fetched costs one more round", async () => {
  const api = client();
  await api.getMenu();
  await steer("advance", { seconds: 1800 });
  await revoke(APP);
  proxy.calls.length = 0;
  assert.deepEqual(await api.getMenu(), { menu: { button: [] } });
  assert.equal(proxy.calls.filter((call) => call.startsWith("center")).length, 2);
});

test("through the gateway it logs a user of a mini program in", async () => {
  const session = await client(center, key, MINI).code2Session(await loginCode(MINI));
  assert.ok(session.openid && session.session_key, JSON.stringify(session));
});

test("through the gateway it uploads a file and downloads one", async () => {
  const api = client(center);
  const since = await upstream();
  await api.uploadMedia(Buffer.alloc(300_000, "x"), "image", "a.jpg", "image/jpeg");
  const { body_bytes, headers } = (await since()).at(-1);
  assert.ok(body_bytes > 300_000);
  assert.match(Object.fromEntries(headers)["content-type"], /^multipart\/form-data; ?boundary=/);
  const file = await api.getMedia("MEDIA_ID");
  assert.equal(file.length, 1024);
});
