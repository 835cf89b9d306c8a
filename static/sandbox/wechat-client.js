// Sandbox only: simulates the WeChat client on a phone, so that any browser gets an answer.
//
// Gives the page a WeChat user agent and a WeixinJSBridge. The sandbox checks signatures (POST
// /sandbox/pre-verify) against the page's real URL. In a real WeChat this script does nothing.
// wechat-client-*.js register the answers of single interfaces in `sandboxClient.plays`.
(function () {
  "use strict";
  // iOS checks the URL the page was loaded with, even if it was changed before this script ran.
  var loaded = performance.getEntriesByType("navigation")[0];
  var landingUrl = loaded && loaded.name.indexOf(location.origin + "/") === 0 ? loaded.name : location.href;
  if (/MicroMessenger/i.test(navigator.userAgent) || window.WeixinJSBridge) return;

  // A page on another port loads this script from the sandbox's service, which verifies.
  var service = document.currentScript ? new URL(document.currentScript.src).origin : "";

  var chinese = document.documentElement.lang.indexOf("zh") === 0;
  var t = function (en, zh) {
    return chinese ? zh : en;
  };

  var WECHAT = "MicroMessenger/8.0.50";
  var ANDROID = ["Linux; Android 14; Pixel 8", "Chrome/122.0 Mobile Safari/537.36"];
  var IPHONE = ["iPhone; CPU iPhone OS 17_5 like Mac OS X", "Mobile/15E148"];
  // verifies: the sandbox's client that checks; forms: whose answer format is used; lacks: missing
  // interfaces; tags: whether it has open tags.
  var BEACONS = ["startMonitoringBeacons", "stopMonitoringBeacons", "onBeaconsInRange"];
  var CLIENTS = {
    android: { system: ANDROID, app: WECHAT, verifies: "android", forms: "android", lacks: [], tags: true },
    ios: { system: IPHONE, app: WECHAT, verifies: "ios", forms: "ios", lacks: [], tags: true },
    mini: {
      system: ANDROID,
      app: WECHAT + " miniProgram/wxfedcba9876543210",
      verifies: "android",
      forms: "android",
      lacks: [],
      tags: true,
    },
    desktop: {
      system: ["Windows NT 10.0; Win64; x64", "Chrome/122.0 Safari/537.36"],
      app: WECHAT + " WindowsWechat(0x63090a13)",
      verifies: "desktop",
      forms: "desktop",
      lacks: BEACONS,
      tags: false,
    },
    devtools: {
      system: IPHONE,
      app: WECHAT + " wechatdevtools/1.06.2409140",
      verifies: "devtools",
      forms: "ios",
      lacks: BEACONS,
      tags: true,
    },
    wecom: {
      system: ANDROID,
      app: "wxwork/4.1.30 MicroMessenger/7.0.1",
      verifies: "wecom",
      forms: "android",
      lacks: BEACONS.concat(
        ["updateAppMessageShareData", "updateTimelineShareData", "launchMiniProgram", "openBusinessView"],
        ["batchAddCard", "chooseCard", "batchViewCard", "consumedShareCard", "editAddress", "openProductViewWithPid"],
        ["getRecevieBizHongBaoRequest"],
      ),
      tags: false,
    },
  };
  var asked = new URLSearchParams(location.search).get("client");
  var name = Object.prototype.hasOwnProperty.call(CLIENTS, asked) ? asked : "android";
  var client = CLIENTS[name];

  redefine(
    navigator,
    "userAgent",
    "Mozilla/5.0 (" +
      client.system[0] +
      ") AppleWebKit/605.1.15 (KHTML, like Gecko) " +
      client.system[1] +
      " " +
      client.app +
      " NetType/WIFI Language/" +
      (chinese ? "zh_CN" : "en"),
  );
  // On a PC jweixin sends no usage report, so none reaches Tencent from a sandbox.
  redefine(navigator, "platform", "Win32");
  if (name === "mini") redefine(window, "__wxjs_environment", "miniprogram");

  function redefine(object, property, value) {
    Object.defineProperty(object, property, {
      configurable: true,
      get: function () {
        return value;
      },
    });
  }

  // --- the bridge ---

  var granted = null; // the bridge names that config was granted; null before config passed
  var handlers = {}; // event -> the page's last callback
  var plays = {}; // bridge name -> function (params, reply)
  var free = {}; // names that need no permission
  var needsNoConfig = {}; // names that work before config, too
  var tags = []; // the open tags that config was granted
  var configuredAt = ""; // the page's address at that config: the permission of tags ends with it
  var tagsChanged = function () {}; // set by wechat-client-tags.js
  var events = {}; // events that a page may request permission for

  window.sandboxClient = {
    client: name,
    forms: client.forms,
    tags: client.tags,
    // The sandbox's own WeCom account; WeCom does not know the official one.
    account: name === "wecom" ? "demo-work" : "",
    t: t,
    plays: plays,
    free: free,
    needsNoConfig: needsNoConfig,
    events: events,
    /** Calls the page's listener, if config was granted the event. */
    emit: function (event, payload) {
      var heard = Boolean(handlers[event] && granted && granted.indexOf(event) >= 0);
      if (heard) handlers[event](payload);
      return heard;
    },
    mayRender: function (tag) {
      return tags.indexOf(tag) >= 0 && configuredAt === pageUrl();
    },
    onTagsChanged: function (callback) {
      tagsChanged = callback;
    },
    preVerify: ask,
    grant: function (names) {
      granted = (granted || []).concat(names);
    },
    sheet: sheet,
  };

  function has(bridgeName) {
    return Boolean(plays[bridgeName] || events[bridgeName]) && client.lacks.indexOf(bridgeName) < 0;
  }

  window.WeixinJSBridge = {
    invoke: function (bridgeName, params, callback) {
      var reply = function (answer) {
        // Always asynchronous: a real client answers from another process.
        setTimeout(function () {
          if (callback) callback(answer);
        }, 60);
      };
      if (bridgeName === "preVerifyJSAPI") return preVerify(params || {}, reply);
      if (bridgeName === "checkJsApi") return reply(checkJsApi(params || {}));
      if (needsNoConfig[bridgeName] && has(bridgeName)) return plays[bridgeName](params || {}, reply);
      if (!granted) return reply({ err_msg: bridgeName + ":fail_the permission value is offline verifying" });
      if (!has(bridgeName)) return reply({ err_msg: bridgeName + ":fail_function not exist" });
      if (!free[bridgeName] && granted.indexOf(bridgeName) < 0) return reply({ err_msg: bridgeName + ":permission denied" });
      plays[bridgeName](params || {}, reply);
    },
    on: function (event, callback) {
      handlers[event] = callback;
    },
    call: function () {},
  };

  function pageUrl() {
    return location.href.split("#")[0];
  }

  // A route change withdraws the permission of tags until the next config.
  ["pushState", "replaceState"].forEach(function (name) {
    var original = History.prototype[name];
    History.prototype[name] = function () {
      var result = original.apply(this, arguments);
      tagsChanged();
      return result;
    };
  });
  window.addEventListener("popstate", function () {
    tagsChanged();
  });

  function preVerify(params, reply) {
    var question = {
      appId: params.verifyAppId,
      timestamp: params.verifyTimestamp,
      nonceStr: params.verifyNonceStr,
      signature: params.verifySignature,
      url: location.href,
      landingUrl: landingUrl,
      client: client.verifies,
      jsApiList: params.verifyJsApiList,
    };
    ask(question, "preVerifyJSAPI", function (answer) {
      granted = answer.err_msg === "preVerifyJSAPI:ok" ? question.jsApiList : null;
      tags = (granted && params.verifyOpenTagList) || [];
      configuredAt = question.url.split("#")[0];
      if (!granted) report(answer);
      reply(answer);
      tagsChanged();
      if (tags.length && !client.tags) setTimeout(refuseTags, 60);
    });
  }

  function refuseTags() {
    document.dispatchEvent(new CustomEvent("WeixinOpenTagsError", { detail: { errMsg: "not support" } }));
  }

  /** Says on the console why, which a real phone keeps to itself. */
  function report(answer) {
    var reason = answer.reason || { en: "unknown", zh: "未知" };
    console.error(
      [
        "wx-jssdk sandbox: wx.config fails with " + answer.err_msg.replace("preVerifyJSAPI:fail_", ""),
        "  page · 页面地址:    " + location.href,
        "  checked · 校验地址: " + (answer.checkedUrl || location.href),
        "  cause:  " + reason.en,
        "  原因：  " + reason.zh,
      ].join("\n"),
    );
  }

  function ask(question, asking, done) {
    fetch(service + "/sandbox/pre-verify", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(question),
    })
      .then(function (response) {
        return response.json();
      })
      .then(function (answer) {
        if (typeof answer.err_msg !== "string") throw new Error("no err_msg");
        return answer;
      })
      .catch(function () {
        return {
          err_msg: asking + ":fail_system error",
          reason: { en: "The sandbox behind this page does not answer.", zh: "本页背后的沙箱没有响应。" },
        };
      })
      .then(done);
  }

  function checkJsApi(params) {
    var result = {};
    (params.jsApiList || []).forEach(function (one) {
      if (has(one) || one === "checkJsApi") result[one] = true;
    });
    // Android returns a text, which jweixin parses.
    return { err_msg: "checkJsApi:ok", checkResult: client.forms === "android" ? JSON.stringify(result) : result };
  }

  /** Shows what the phone would, as a sheet. `done(true)` for its button, `done(false)` for any other close. */
  function sheet(title, body, action, done) {
    var dialog = document.createElement("dialog");
    dialog.className = "phone-sheet";
    var heading = Object.assign(document.createElement("h2"), { textContent: title, id: "phone-sheet-title" });
    dialog.setAttribute("aria-labelledby", heading.id);
    var main = Object.assign(document.createElement("div"), { className: "phone-body" });
    main.append.apply(main, body);
    var row = Object.assign(document.createElement("div"), { className: "row" });
    if (action) row.append(button(action, "primary", "done"));
    row.append(button(action ? t("Cancel", "取消") : t("Close", "关闭"), "quiet", ""));
    dialog.append(
      Object.assign(document.createElement("p"), { className: "phone-tag", textContent: t("simulated phone", "模拟手机") }),
      heading,
      main,
      row,
    );
    dialog.addEventListener("close", function () {
      dialog.remove();
      if (done) done(dialog.returnValue === "done");
    });
    function button(label, kind, value) {
      var one = Object.assign(document.createElement("button"), {
        type: "button",
        className: "btn " + kind,
        textContent: label,
      });
      one.addEventListener("click", function () {
        dialog.close(value);
      });
      return one;
    }
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }

  // A phone's bridge appears after the page has started; this event notifies waiting scripts.
  document.dispatchEvent(new Event("WeixinJSBridgeReady"));
})();
