// tnwx, as it is on npm. It names WeChat's hosts in each call, but lets its HTTP client be replaced: `HttpKit.setHttpDelegate`.
//
// It keeps a token until its end and repeats nothing. `AccessTokenApi.refreshAccessToken` is its way to another one.

import assert from "node:assert/strict";
import { before, beforeEach, test } from "node:test";
import tnwx from "tnwx";
import { AGENT, APP, CORP, MINI, center, fresh, healed, key, loginCode, paths, revoke, sandbox, upstream } from "./center.mjs";

const { AccessTokenApi, ApiConfig, ApiConfigKit, AxiosHttpKit, HttpKit, MenuApi, MiniProgramApi } = tnwx;
const { QyAccessTokenApi, QyApiConfigKit, QySendMsgApi } = tnwx;

const TOKEN_CALL = /\/cgi-bin\/(token|gettoken)\?/;

/** Sends token calls to the center, and all others there too or to another address. */
class Address extends AxiosHttpKit {
  constructor(others) {
    super();
    this.others = others;
  }
  lead(url) {
    return url.replace(/^https:\/\/(api|qyapi)\.weixin\.qq\.com/, TOKEN_CALL.test(url) ? center : this.others);
  }
  httpGet(url, options) {
    return super.httpGet(this.lead(url), options);
  }
  httpPost(url, data, options) {
    return super.httpPost(this.lead(url), data, options);
  }
}

console.debug = () => {}; // tnwx writes there
const OFFICIAL = new ApiConfig(APP, key);
const WORK = new ApiConfig(String(AGENT), key, undefined, false, "", CORP);

const KINDS = {
  "official account": {
    id: APP,
    refresh: () => AccessTokenApi.refreshAccessToken(OFFICIAL),
    token: "/cgi-bin/stable_token",
    call: () => MenuApi.get(),
    path: "/cgi-bin/menu/get",
    isRight: (answer) => assert.deepEqual(answer, { menu: { button: [] } }),
    refused: 40001,
  },
  "WeCom app": {
    id: CORP,
    refresh: () => QyAccessTokenApi.refreshAccessToken(WORK),
    token: "/cgi-bin/gettoken",
    call: () => QySendMsgApi.sendMessage(JSON.stringify({ touser: "user", agentid: AGENT })),
    path: "/cgi-bin/message/send",
    isRight: (answer) => assert.equal(answer.errcode, 0),
    refused: 40014,
  },
};

before(() => {
  ApiConfigKit.putApiConfig(OFFICIAL);
  QyApiConfigKit.putApiConfig(WORK);
  QyApiConfigKit.setCurrentAppId(String(AGENT), CORP);
});
beforeEach(fresh);

for (const [name, { id, refresh, token, call, path, isRight, refused }] of Object.entries(KINDS)) {
  test(`${name}: through the gateway its next call after a token died succeeds`, async () => {
    HttpKit.setHttpDelegate = new Address(center);
    await refresh(); // all tests share its cache
    isRight(await call());
    await revoke(id);
    const since = await upstream();
    isRight(await call());
    assert.deepEqual(paths(await since()), healed(path, token));
  });

  test(`${name}: without the gateway its own refresh gets a valid token`, async () => {
    HttpKit.setHttpDelegate = new Address(sandbox);
    await refresh();
    isRight(await call());
    await revoke(id);
    assert.equal((await call()).errcode, refused);
    await refresh();
    isRight(await call());
  });
}

test("through the gateway it logs a user of a mini program in", async () => {
  HttpKit.setHttpDelegate = new Address(center);
  const session = await MiniProgramApi.code2Session(MINI, key, await loginCode(MINI));
  assert.ok(session.openid && session.session_key, JSON.stringify(session));
});
