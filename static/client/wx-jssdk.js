// WeChat's JS-SDK with promises, see wx-jssdk.d.ts. MIT OR Apache-2.0
(function () {
  "use strict";
  const landed = typeof location === "object" ? location.href : "";
  if (!landed || window.wxJssdk) return;

  const HOSTS = ["https://res.wx.qq.com", "https://res2.wx.qq.com"];
  const SDK = "/open/js/jweixin-1.6.0.js";
  const PATIENCE = 5000; // ms
  const ENDPOINT_PATIENCE = 15000;
  const CLIENT_PATIENCE = 10000;
  const ATTEMPTS = 3;
  const LONGEST_WAIT = 10; // s
  // They ask the user nothing and may time out.
  const QUICK = /^(check|getNet|update|hide|show)/;

  // code: [cause en, cause zh, fix en, fix zh]
  const TEXTS = {
    not_in_wechat: [
      "The page is not open in WeChat (agentReady: in WeCom).",
      "当前不在微信中（agentReady 须在企业微信中）。",
      "Open the page in WeChat (agentReady: in WeCom).",
      "请在微信中打开本页（agentReady：在企业微信中打开）。",
    ],
    no_bridge: [
      "The user agent claims WeChat, but there is no WeixinJSBridge.",
      "User-Agent 声称是微信，但没有 WeixinJSBridge。",
      "Open the page in WeChat, not in an iframe.",
      "请在微信中打开本页，不要用 iframe。",
    ],
    sdk_not_loaded: [
      "jweixin could not be loaded from res.wx.qq.com or res2.wx.qq.com.",
      "无法从 res.wx.qq.com 和 res2.wx.qq.com 加载 jweixin。",
      "Check the network and the CSP (script-src, trusted types).",
      "请检查网络和 CSP（script-src、trusted types）。",
    ],
    endpoint_unreachable: [
      "The signing endpoint returned no signature.",
      "签名接口没有返回签名。",
      "Open error.address in a browser and check the option endpoint and the CSP (connect-src). Across origins the page must be on a safe domain.",
      "请在浏览器中打开 error.address，并核对 endpoint 选项和 CSP（connect-src）；跨域时页面须在安全域名下。",
    ],
    page_not_allowed: ["The page is outside the account's JS safe domains.", "本页不在该账号的安全域名内。", "", ""],
    config_failed: [
      "WeChat refused the config, see errMsg.",
      "微信拒绝了 config，见 errMsg。",
      "Check the AppID; users of a test account must follow it.",
      "请核对 AppID；测试号的用户须先关注。",
    ],
    invalid_signature: [
      "The client refused the signature.",
      "客户端拒绝了签名。",
      "Compare error.signedUrl with the page's URL, check the account, and let no cache or proxy change the answer. Reload by GET a page that was reached by POST or restored from cache.",
      "请比较 error.signedUrl 与页面地址，核对账号，不要让缓存或代理改动签名结果。POST 打开或从缓存恢复的页面请用 GET 重新加载。",
    ],
    offline_verifying: [
      "ready() (for WeCom's own interfaces: agentReady()) has not passed, or the interface is not in its apis.",
      "ready()（企业微信专有接口：agentReady()）尚未完成，或接口不在其 apis 中。",
      "Call that first, list the interface in apis, and try it on a phone.",
      "请先调用它，把接口加入 apis，并在手机上再试。",
    ],
    function_not_exist: [
      "This client, or the page's jweixin, does not have the interface.",
      "当前客户端或页面的 jweixin 没有该接口。",
      "Check the spelling, load jweixin 1.6.0, update WeChat, or try a phone.",
      "请检查拼写，引入 jweixin 1.6.0，升级微信，或换手机再试。",
    ],
    permission_denied: [
      "The account lacks this interface, or it is not in apis.",
      "账号没有该接口的权限，或接口不在 apis 中。",
      "Check 接口权限与额度 in the console (many are for verified accounts), and list it in apis.",
      "请在微信开发者平台「接口权限与额度」中查看（许多接口仅对已认证的账号开放），并把接口加入 apis。",
    ],
    trusted_domain_mismatch: [
      "The page's host is not a trusted domain of the WeCom app.",
      "页面域名不是企业微信应用的可信域名。",
      "Add exactly this host in the app's settings (网页授权及JS-SDK) and verify it.",
      "请在应用的「网页授权及JS-SDK」中添加完全相同的域名，并完成归属校验。",
    ],
    domain_not_bound: [
      "The page's host is not a JS safe domain of this appId.",
      "页面域名不是该 appId 的 JS接口安全域名。",
      "Bind it in the console (域名与消息推送配置), for ports 80 and 443 only. It takes minutes, after an ICP filing up to a day. Check the appId.",
      "请在微信开发者平台「域名与消息推送配置」绑定（只支持 80/443 端口），几分钟后生效，新备案的最长需一天。并核对 appId。",
    ],
    config_field_missing: [
      "A field of wx.config is missing or empty.",
      "wx.config 缺少字段，或字段为空。",
      "Check appId and jsApiList in the endpoint's answer.",
      "请检查签名接口返回的 appId 和 jsApiList。",
    ],
    cancelled_by_user: ["The user cancelled.", "用户取消了操作。", "Let the user try again.", "请允许用户重试。"],
    timeout: ["The client did not answer.", "客户端没有响应。", "Reload the page, or update the client.", "请重新加载页面或升级客户端。"],
    api_failed: ["The call failed, see errMsg.", "调用失败，见 errMsg。", "Check the arguments.", "请检查参数。"],
  };

  // <client-errors>
  // From client_errors/table.rs.
  const plain = (says) => String(says).normalize("NFKC").replace(/[^\S\n]|[_\u200b-\u200f\ufeff]/g, "").toLowerCase();
  const SAID = [
    ["trusted_domain_mismatch", /notmatchanyreliabledomain|reliabledomain|(?:^|\D)80001(?!\d)/],
    ["domain_not_bound", /invalidurldomain|invaliddomain|^(?=[^]*urldomain)(?=[^]*invalid)|(?:^|\D)40048(?!\d)/],
    ["invalid_signature", /invalidsignature|signatureinvalid|signatureerror|(?:^|\D)63002(?!\d)|(?:^|\D)40093(?!\d)/],
    ["offline_verifying", /offlineverifying/],
    ["config_field_missing", /\bconfig:fail[^\w\u4e00-\u9fff"'\n]*(?:["'\n]|$)|\bconfig:failed[^\w\u4e00-\u9fff"'\n]*(?:["'\n]|$)|preverifyjsapi:fail[^\w\u4e00-\u9fff"'\n]*(?:["'\n]|$)|argumentsisempty|configisempty|argumentisempty|(?:^|\D)63001(?!\d)/],
    ["permission_denied", /^(?![^]*systempermission)[^]*(?:permissiondenied|permissiondeny|accessdenied|nopermission|noauthroize|(?:^|\D)63004(?!\d))/],
    ["function_not_exist", /functionnotexist|functiondoesnotexist|^(?=[^]*:fail)(?=[^]*notsupport)|:notsupport|^(?=[^]*:fail)(?=[^]*notimplemented)/],
    ["cancelled_by_user", /:cancel|:usercancel|:failcancel|:fail,cancel|:failusercancel|:fail,usercancel|:fail:cancel/],
  ];
  // </client-errors>

  const client = (pattern) => pattern.test(navigator.userAgent);
  const inWeChat = () => client(/micromessenger/i);
  const inWeCom = () => client(/wxwork\//i);

  if (inWeCom()) {
    for (const code of ["no_bridge", "function_not_exist"]) {
      TEXTS[code] = TEXTS[code].map((text) => text.replace("WeChat", "WeCom").replace("微信", "企业微信"));
    }
    Object.assign(TEXTS, {
      domain_not_bound: TEXTS.trusted_domain_mismatch,
      permission_denied: [
        "The WeCom app lacks this interface, or it is not in apis.",
        "企业微信应用没有该接口的权限，或接口不在 apis 中。",
        "Grant it to the app in the WeCom admin console, and list it in apis.",
        "请在企业微信管理后台为该应用开通权限，并把接口加入 apis。",
      ],
      config_failed: [
        "WeCom refused the config, see errMsg.",
        "企业微信拒绝了 config，见 errMsg。",
        "Check that CorpID, AgentId and Secret are of one app, and that the user is in its visible range.",
        "请核对企业ID、AgentId 和 Secret 属于同一应用，且用户在其可见范围内。",
      ],
    });
  }

  class WxJssdkError extends Error {
    constructor(code, more) {
      const [en, zh, fixEn, fixZh] = TEXTS[code] || [code, code, "", ""];
      const own = Object.assign({ code, cause: { en, zh }, fix: { en: fixEn, zh: fixZh } }, more);
      const [language, stop] = /^zh/i.test(document.documentElement.lang || navigator.language) ? ["zh", "。"] : ["en", "."];
      const said = own.errMsg ? " (" + own.errMsg + ")" : "";
      const cause = String(own.cause[language]).replace(/[.。]$/, "") + said + stop;
      super([code + ": " + cause, own.fix[language]].filter(Boolean).join(" "));
      Object.assign(this, own);
      this.name = "WxJssdkError";
    }
  }

  const page = () => location.href.split("#")[0];
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  // The page's first URL, even if this script is late.
  function landing() {
    const [entry] = performance.getEntriesByType ? performance.getEntriesByType("navigation") : [];
    const known = entry && entry.name.indexOf(location.origin + "/") === 0 ? entry.name : landed;
    return known.split("#")[0];
  }

  // By reports, iOS checks the landing URL. The devtools claim to be an iPhone.
  const devtools = client(/wechatdevtools|wxdebugger/i);
  let byLanding = client(/iphone|ipad|ipod/i) && !devtools && !inWeCom();

  // A phone's user agent on a desktop system.
  const claimed = !devtools && client(/android|iphone/i) && /^(Win|Mac)/.test(navigator.platform);

  // This script's directory; a module has no currentScript.
  const tag = document.currentScript;
  const [, home] = (tag ? tag.src : String(new Error().stack)).match(/(https?:\/\/(?!\S*node_modules)[^\s()@?#]*)\/wx-jssdk\.js/) || ["", "/jssdk"];

  let options = {};
  let tail = Promise.resolve();
  let queued; // not started
  let forced; // not only for a changed URL
  let configured, configuredAt, broken, tagged, watching, defaults;

  function ready(asked) {
    if (watching && !asked) moved(); // a router may bypass watchHistory
    if (!asked && configured && !broken) return configured.then((wx) => wx);
    const before = options;
    options = Object.assign({}, before, asked);
    for (const list of ["apis", "openTags"]) {
      const lists = [before[list], options[list]].filter(Boolean);
      if (lists.length) options[list] = [...new Set([].concat(...lists))];
    }
    defaults = defaults || !options.apis;
    if (options.autoReconfigure && inWeChat()) watchHistory();
    return configureNext();
  }

  function configureNext(forcing = true) {
    forced = forced || forcing;
    if (!queued) {
      const mine = tail.then((wx) => {
        const done = !forced && wx && page() === configuredAt;
        queued = forced = null;
        return done ? wx : configure();
      });
      broken = false;
      queued = configured = mine;
      tail = mine.catch(() => {
        broken = configured === mine;
      });
    }
    return configured.then((wx) => wx); // reported if unhandled
  }

  async function configure() {
    if (!inWeChat()) throw new WxJssdkError("not_in_wechat");
    let first, wx, answer;
    let round = 0;
    do {
      configuredAt = page();
      first = byLanding ? landing() : configuredAt;
      [wx, answer] = await Promise.all([loadSdk(), sign(first)]);
    } while (++round < ATTEMPTS && !byLanding && page() !== configuredAt);
    try {
      await verify(wx, answer, first);
    } catch (error) {
      const now = page();
      const other = [now, landing()].find((url) => url !== first);
      if (error.code !== "invalid_signature" || !other) throw error;
      tell("retry", { error });
      configuredAt = now;
      try {
        await verify(wx, await sign(other), other);
      } catch (second) {
        throw error;
      }
      byLanding = other !== now;
    }
    if (watching) moved();
    return wx;
  }

  const tell = (step, more) => options.onStep && options.onStep(Object.assign({ step }, more));

  // --- the endpoint ---

  async function sign(url) {
    tell("sign", { url });
    const answer = await ask("/config", url);
    tell("signed", { url, answer });
    return answer;
  }

  async function ask(path, url) {
    const base = options.endpoint ? String(options.endpoint).replace(/(\/config)?\/*$/, "") : home;
    let address = base + path + "?url=" + encodeURIComponent(url);
    if (options.account) address += "&account=" + encodeURIComponent(options.account);
    for (let attempt = 1; ; attempt++) {
      const { status, body, errMsg, retryAfter } = await getJson(address);
      const lacks = ["timestamp", "nonceStr", "signature"].filter((name) => !body || !body[name]);
      if (status === 200 && !lacks.length) {
        if (body.warning) console.warn(body.warning.code, body.warning.en, body.warning.zh);
        return body;
      }
      const passing = errMsg !== "timeout" && (!status || status === 503 || status === 429 || (status > 500 && !body));
      if (passing && attempt < ATTEMPTS && !(retryAfter > LONGEST_WAIT)) {
        await sleep((retryAfter || attempt / 2) * 1000);
        continue;
      }
      const said = { address, signedUrl: url, status, errMsg, retryAfter };
      if (status === 200 && body) said.errMsg += " without " + lacks.join(", ");
      if (status === 200 || !body) throw new WxJssdkError("endpoint_unreachable", said);
      said.problem = body;
      if (body.hint) said.fix = body.hint;
      if (!TEXTS[body.code]) said.cause = { en: body.detail, zh: "签名接口：" + body.code };
      throw new WxJssdkError(body.code, said);
    }
  }

  async function getJson(address) {
    const answer = { status: 0 };
    const asking = fetch(address, { cache: "no-store" }).then(async (response) => {
      answer.retryAfter = Number(response.headers.get("Retry-After")) || 0;
      answer.errMsg = "HTTP " + (answer.status = response.status);
      const text = await response.text();
      try {
        const body = JSON.parse(text);
        if (answer.status !== 200 && !(typeof body.code === "string" && body.detail)) throw body;
        answer.body = body;
      } catch (error) {
        answer.errMsg += ": " + text.trim().slice(0, 120);
      }
    });
    const failed = ({ message }) => (answer.errMsg = message);
    await Promise.race([asking.catch(failed), sleep(ENDPOINT_PATIENCE).then(() => failed({ message: "timeout" }))]);
    return answer;
  }

  // --- jweixin ---

  const loaded = () => [window.jWeixin, window.wx].find((sdk) => sdk && sdk.config);

  async function loadSdk() {
    let address, goOn;
    let loading = 0;
    for (let at = 0; at < HOSTS.length && !loaded(); at++) {
      tell("load", { address: (address = HOSTS[at] + SDK) });
      loading++;
      await new Promise((done) => {
        setTimeout((goOn = done), PATIENCE);
        loadScript(address, () => {
          loading--;
          if (!loading || loaded()) goOn();
        });
      }).catch(() => {}); // trusted types
    }
    const wx = loaded();
    if (!wx) throw new WxJssdkError("sdk_not_loaded");
    tell("loaded", { address });
    if (!window.wx) window.wx = wx;
    return wx;
  }

  function loadScript(address, done) {
    const script = document.createElement("script");
    script.src = address;
    const define = window.define;
    // With an AMD loader there is no window.wx.
    const ours = function () {
      if (document.currentScript !== script) return define.apply(this, arguments);
      window.jWeixin = window.jWeixin || arguments[arguments.length - 1]();
    };
    if (typeof define === "function") window.define = Object.assign(ours, define);
    script.onload = script.onerror = () => {
      if (window.define === ours) window.define = define;
      done();
    };
    document.head.appendChild(script);
  }

  // --- wx.config ---

  // By the bridge: jweixin calls ready after an error too, and takes version 10 for 6.0.1.
  function verify(wx, answer, url) {
    const config = configFor(answer);
    tell("config", { config });
    const { timeout = CLIENT_PATIENCE } = options;
    return new Promise((resolve, reject) => {
      let bridge, original, listening, begun;
      const listens = () => bridge && bridge.invoke === listening;
      const settle = (code, says, raw) => {
        document.removeEventListener("WeixinJSBridgeReady", listen);
        if (listens()) bridge.invoke = original;
        if (code) reject(new WxJssdkError(code, { errMsg: says, answer: raw, signedUrl: url, currentUrl: page() }));
        else resolve();
      };
      const judge = (res) => {
        const says = saysOf(res);
        settle(isOk(says) || /function.not.exist/.test(says) ? "" : codeOf(says, "config_failed"), says, res);
      };
      const listen = () => {
        if (bridge === window.WeixinJSBridge || !window.WeixinJSBridge) return;
        bridge = window.WeixinJSBridge;
        original = bridge.invoke;
        listening = function (name, params, callback) {
          // Another script's.
          if (name !== "preVerifyJSAPI" || params.verifySignature !== config.signature) return original.apply(this, arguments);
          return original.call(this, name, params, (res) => {
            const raw = Object.assign({}, res); // jweixin changes it
            if (callback) callback(res);
            judge(raw);
          });
        };
        try {
          bridge.invoke = listening;
        } catch (frozen) {
          // or ignored
        }
        if (!listens()) wx.error((res) => begun && judge(res));
      };
      if (timeout) setTimeout(() => settle("timeout", "preVerifyJSAPI"), timeout);
      // Old web views add the bridge late.
      const missing = () => {
        if (window.WeixinJSBridge) return;
        if (document.readyState === "complete") settle("no_bridge", "no WeixinJSBridge");
        else setTimeout(missing, PATIENCE);
      };
      setTimeout(missing, claimed ? 0 : PATIENCE);
      listen();
      document.addEventListener("WeixinJSBridgeReady", listen); // before jweixin
      wx.ready(() => {
        if (!listens()) setTimeout(() => judge({ errMsg: "config:ok" }), begun ? 0 : 2000);
      });
      begun = true;
      wx.config(config);
    });
  }

  function configFor(answer) {
    const config = Object.assign({ beta: true }, answer); // wx.invoke of old jweixins
    // WeCom has no update…ShareData.
    const shares = inWeCom() ? ["onMenuShareAppMessage", "onMenuShareTimeline", "menu:share:wechat"] : [];
    config.jsApiList = [...new Set([...(options.apis || []), ...((defaults && answer.jsApiList) || []), ...shares])];
    if (options.openTags) config.openTagList = options.openTags.slice();
    tagged = (config.openTagList || []).length;
    if (options.debug !== undefined) config.debug = !!options.debug;
    return config;
  }

  const saysOf = (res) => String((res && (res.errMsg || res.err_msg)) || res);
  const isOk = (says) => /:(ok|confirm)$|^network_type:/.test(says);

  function codeOf(says, otherwise) {
    const [code] = SAID.find(([, when]) => when.test(plain(says))) || [otherwise];
    return code;
  }

  // --- calls ---

  async function call(name, args, { timeout = QUICK.test(name) ? CLIENT_PATIENCE : 0 } = {}) {
    return invoke(await ready(), name, args, timeout);
  }

  function invoke(wx, name, args, timeout) {
    return new Promise((resolve, reject) => {
      const given = Object.assign({}, args);
      for (const key in given) if (Array.isArray(given[key])) given[key] = given[key].slice();
      const fail = (code, errMsg, answer) => reject(new WxJssdkError(code, { api: name, errMsg, answer }));
      const hear = (res) => {
        const says = saysOf(res);
        if (isOk(says)) resolve(Object.assign({ errMsg: says }, res));
        else fail(codeOf(says, name === "agentConfig" ? "config_failed" : "api_failed"), says, res);
      };
      if (timeout) setTimeout(() => fail("timeout", name), timeout);
      try {
        if (wx[name]) {
          wx[name](Object.assign(given, { success: hear, fail: hear, cancel: hear }));
        } else if (wx.invoke) {
          wx.invoke(name, given, hear); // newer than the page's jweixin, or WeCom's own
        } else fail("function_not_exist");
      } catch (error) {
        fail("api_failed", String(error));
      }
    });
  }

  async function share({ title, desc, link = location.href, imgUrl } = {}) {
    const wx = await ready();
    const card = { title, desc, link, imgUrl };
    if (inWeCom()) {
      wx.onMenuShareAppMessage(card);
      wx.onMenuShareTimeline(card);
      // jweixin has no onMenuShareWechat.
      const sent = { title, desc: desc || "", link, img_url: imgUrl || "", type: "link", data_url: "" };
      return wx.on("menu:share:wechat", () => wx.invoke("shareWechat", sent, () => {}));
    }
    await Promise.all([
      invoke(wx, "updateAppMessageShareData", card, CLIENT_PATIENCE),
      invoke(wx, "updateTimelineShareData", card, CLIENT_PATIENCE),
    ]);
  }

  async function agentReady(asked) {
    if (!inWeCom()) throw new WxJssdkError("not_in_wechat");
    const wx = await ready(configured ? undefined : Object.assign({}, asked, { apis: undefined }));
    let url, answer;
    let round = 0;
    do answer = await ask("/agent-config", (url = page()));
    while (++round < ATTEMPTS && page() !== url);
    const config = { jsApiList: [].concat((asked && asked.apis) || answer.jsApiList || []) };
    for (const key of ["corpid", "agentid", "timestamp", "nonceStr", "signature"]) config[key] = String(answer[key]);
    try {
      await invoke(wx, "agentConfig", config, CLIENT_PATIENCE);
    } catch (error) {
      error.signedUrl = url;
      throw error;
    }
    return wx;
  }

  // --- single-page applications ---

  function watchHistory() {
    if (watching) return;
    watching = true;
    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = function () {
        const result = original.apply(this, arguments);
        moved();
        return result;
      };
    }
    window.addEventListener("popstate", moved);
  }

  function moved() {
    // Open tags lose their permission, on iOS too.
    if (page() === configuredAt || (byLanding && !tagged)) return;
    configureNext(false).catch(console.warn);
  }

  window.wxJssdk = { ready, reconfigure: () => configureNext(), share, call, agentReady, WxJssdkError };
})();
