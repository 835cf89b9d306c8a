// node-easywechat, as it is on npm, with the center as its only address: `http.baseURL`, its own setting.
//
// It keeps a token in a file until its end and repeats nothing. `getAccessToken().refresh()` is its way to another one.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { MiniApp, OfficialAccount, Work } from "node-easywechat";
import { AGENT, APP, CORP, MINI, center, credential, fresh, healed, key, loginCode, paths, revoke, splitting, steer, upstream } from "./center.mjs";

const PAGE = "https://demo.example.com/page?a=1&b=2";

let proxy;
const folders = [];
before(async () => {
  proxy = await splitting();
});
after(() => {
  proxy.close();
  for (const folder of folders) rmSync(folder, { recursive: true });
});
beforeEach(fresh);

function settings(baseURL, own) {
  const folder = mkdtempSync(join(tmpdir(), "easywechat-"));
  folders.push(folder);
  return { ...own, secret: key, http: { baseURL }, file_cache: { path: folder } };
}

const KINDS = {
  "official account": {
    app: (base) => new OfficialAccount(settings(base, { app_id: APP })),
    id: APP,
    token: "/cgi-bin/stable_token",
    call: async (client) => (await client.get("/cgi-bin/menu/get")).toObject(),
    path: "/cgi-bin/menu/get",
    isRight: (answer) => assert.deepEqual(answer, { menu: { button: [] } }),
    refused: 40001,
  },
  "official account with use_stable_access_token": {
    app: (base) => new OfficialAccount(settings(base, { app_id: APP, use_stable_access_token: true })),
    id: APP,
    token: "/cgi-bin/stable_token",
    call: async (client) => (await client.postJson("/cgi-bin/message/custom/send", { touser: "openid" })).toObject(),
    path: "/cgi-bin/message/custom/send",
    isRight: (answer) => assert.equal(answer.errcode, 0),
    refused: 40001,
  },
  "WeCom app": {
    app: (base) => new Work(settings(base, { corp_id: CORP })),
    id: CORP,
    token: "/cgi-bin/gettoken",
    call: async (client) => (await client.postJson("/cgi-bin/message/send", { touser: "user", agentid: AGENT })).toObject(),
    path: "/cgi-bin/message/send",
    isRight: (answer) => assert.equal(answer.errcode, 0),
    refused: 40014,
  },
};

for (const [name, { app, id, token, call, path, isRight, refused }] of Object.entries(KINDS)) {
  test(`${name}: through the gateway its next call after a token died succeeds`, async () => {
    const client = app(center).getClient();
    isRight(await call(client));
    await revoke(id);
    const since = await upstream();
    isRight(await call(client));
    assert.deepEqual(paths(await since()), healed(path, token));
  });

  test(`${name}: without the gateway its own refresh gets a valid token`, async () => {
    const own = app(proxy.url);
    const client = own.getClient();
    isRight(await call(client));
    await revoke(id);
    assert.equal((await call(client)).errcode, refused);
    await own.getAccessToken().refresh();
    isRight(await call(client));
  });
}

test("it signs a page that WeChat accepts", async () => {
  const ticket = await new OfficialAccount(settings(center, { app_id: APP })).getTicket();
  const config = await ticket.configSignature(PAGE);
  const answer = await steer("pre-verify", { ...config, timestamp: String(config.timestamp), jsApiList: [] });
  assert.equal((await answer.json()).err_msg, "preVerifyJSAPI:ok");
  assert.equal(await ticket.getTicket(), (await credential("jsapi_ticket")).value);
});

test("through the gateway it logs a user of a mini program in", async () => {
  const session = await new MiniApp(settings(center, { app_id: MINI })).getUtils().codeToSession(await loginCode(MINI));
  assert.ok(session.openid && session.session_key);
});
