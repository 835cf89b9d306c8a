// wechat-api, the older one with callbacks, as it is on npm. Only `endpoint` is changed: `setEndpoint` would put https before it.
//
// After 40001 it repeats the call once with the token it has, the dead one. So without the gateway it fails until that token's end,
// unless its user calls `getAccessToken`.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { promisify } from "node:util";
import API from "wechat-api";
import { APP, center, fresh, healed, key, paths, revoke, splitting, upstream } from "./center.mjs";

const MENU = { menu: { button: [] } };

let proxy;
before(async () => {
  proxy = await splitting();
});
after(() => proxy.close());
beforeEach(fresh);

function client(endpoint) {
  const api = new API(APP, key);
  api.endpoint = endpoint;
  const call = (name) => promisify(api[name].bind(api));
  const calls = ["getMenu", "sendText", "getAccessToken", "getTicket", "clearQuota"];
  return Object.fromEntries(calls.map((name) => [name, call(name)]));
}

test("through the gateway its next call after a token died succeeds", async () => {
  const api = client(center);
  await api.getMenu();
  await revoke(APP);
  const since = await upstream();
  assert.deepEqual(await api.getMenu(), MENU);
  assert.deepEqual(paths(await since()), healed("/cgi-bin/menu/get"));
});

test("through the gateway it sends a message and gets a ticket", async () => {
  const api = client(center);
  assert.equal((await api.sendText("openid", "hello")).errcode, 0);
  assert.ok((await api.getTicket()).ticket);
});

test("a call that its key may not make is an error", async () => {
  const since = await upstream();
  await assert.rejects(client(center).clearQuota(APP), { code: 48001 });
  assert.deepEqual(await since(), []);
});

test("without the gateway its own getAccessToken gets a valid token", async () => {
  const api = client(proxy.url);
  await api.getMenu();
  await revoke(APP);
  await assert.rejects(api.getMenu(), { code: 40001 });
  await api.getAccessToken();
  assert.deepEqual(await api.getMenu(), MENU);
});
