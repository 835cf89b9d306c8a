// Sandbox only: plays the part of the WeChat client on a phone, so that any browser gets an answer.
//
// It gives the page a WeChat user agent and a WeixinJSBridge. Whether a signature is good it does not decide: the sandbox
// does (POST /sandbox/pre-verify), over the address this page really has. In a real WeChat it does nothing at all.
(function () {
  "use strict";
  // iOS checks the address as it was loaded, whatever the page does to it, be it before this script.
  var loaded = performance.getEntriesByType("navigation")[0];
  var landingUrl = loaded && loaded.name.indexOf(location.origin + "/") === 0 ? loaded.name : location.href;
  var realUserAgent = navigator.userAgent;
  if (/MicroMessenger/i.test(realUserAgent) || window.WeixinJSBridge) return;

  var ios = new URLSearchParams(location.search).get("client") === "ios";
  var chinese = document.documentElement.lang.indexOf("zh") === 0;
  var t = function (en, zh) {
    return chinese ? zh : en;
  };

  redefine(
    "userAgent",
    ios
      ? userAgentOf("iPhone; CPU iPhone OS 17_5 like Mac OS X", "Mobile/15E148")
      : userAgentOf("Linux; Android 14; Pixel 8", "Chrome/122.0 Mobile Safari/537.36"),
  );
  // From a PC jweixin sends no usage report: what happens in a sandbox is none of Tencent's business.
  redefine("platform", "Win32");
  window.sandboxClient = { client: ios ? "ios" : "android", realUserAgent: realUserAgent };

  function userAgentOf(system, engine) {
    return (
      "Mozilla/5.0 (" +
      system +
      ") AppleWebKit/605.1.15 (KHTML, like Gecko) " +
      engine +
      " MicroMessenger/8.0.50 NetType/WIFI Language/" +
      (chinese ? "zh_CN" : "en")
    );
  }

  function redefine(name, value) {
    Object.defineProperty(navigator, name, {
      configurable: true,
      get: function () {
        return value;
      },
    });
  }

  // --- the bridge ---

  var granted = null; // the bridge names that config was given; null before config passed

  window.WeixinJSBridge = {
    invoke: function (name, params, callback) {
      var reply = function (answer) {
        // Never in the same turn: a real client answers from another process.
        setTimeout(function () {
          if (callback) callback(answer);
        }, 60);
      };
      if (name === "preVerifyJSAPI") return preVerify(params || {}, reply);
      if (name === "checkJsApi") return reply(checkJsApi(params || {}));
      if (!granted) return reply({ err_msg: name + ":fail_the permission value is offline verifying" });
      if (granted.indexOf(name) < 0) return reply({ err_msg: name + ":permission denied" });
      var played = PLAYED[name];
      if (!played) return reply({ err_msg: name + ":fail_function not exist" });
      played(params || {}, reply);
    },
    on: function () {},
    call: function () {},
  };

  function preVerify(params, reply) {
    var question = {
      appId: params.verifyAppId,
      timestamp: params.verifyTimestamp,
      nonceStr: params.verifyNonceStr,
      signature: params.verifySignature,
      url: location.href,
      landingUrl: landingUrl,
      client: ios ? "ios" : "android",
      jsApiList: params.verifyJsApiList || [],
    };
    fetch("/sandbox/pre-verify", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(question),
    })
      .then(function (response) {
        return response.json();
      })
      .then(function (answer) {
        if (typeof answer.err_msg !== "string") throw new Error("no err_msg");
        granted = answer.err_msg === "preVerifyJSAPI:ok" ? question.jsApiList : null;
        reply(answer);
      })
      .catch(function () {
        granted = null;
        reply({
          err_msg: "preVerifyJSAPI:fail_system error",
          reason: { en: "The sandbox behind this page does not answer.", zh: "本页背后的沙箱没有响应。" },
        });
      });
  }

  function checkJsApi(params) {
    var result = {};
    (params.jsApiList || []).forEach(function (name) {
      if (PLAYED[name]) result[name] = true;
    });
    // Android gives text, which jweixin parses.
    return { err_msg: "checkJsApi:ok", checkResult: ios ? result : JSON.stringify(result) };
  }

  var ok = function (name) {
    return function (params, reply) {
      reply({ err_msg: name + ":ok" });
    };
  };

  var PLAYED = {
    updateAppMessageShareData: ok("updateAppMessageShareData"),
    updateTimelineShareData: ok("updateTimelineShareData"),
    chooseImage: chooseImage,
    getLocalImgData: getLocalImgData,
    imagePreview: function (params, reply) {
      var pictures = (params.urls || []).map(function (url) {
        return picture(url);
      });
      sheet(t("The phone would show the pictures full screen", "手机会全屏显示图片"), pictures, null, function () {});
      reply({ err_msg: "imagePreview:ok" });
    },
    geoLocation: function (params, reply) {
      var text = !ios; // some Android clients give text
      var at = params.type === "gcj02" ? GCJ02 : WGS84;
      reply({
        err_msg: "geoLocation:ok",
        latitude: text ? String(at[0]) : at[0],
        longitude: text ? String(at[1]) : at[1],
        speed: text ? "0.0" : 0,
        accuracy: text ? "30.0" : 30,
      });
    },
    openLocation: function (params, reply) {
      sheet(t("The phone would show a map", "手机会打开地图"), [map(params)], null, function () {});
      reply({ err_msg: "openLocation:ok" });
    },
    scanQRCode: scanQRCode,
    getNetworkType: function (params, reply) {
      reply({ err_msg: "network_type:wifi" });
    },
  };

  // WeChat's own example place, in the map's system and in the satellites'.
  var GCJ02 = [23.099994, 113.32452];
  var WGS84 = [23.102553, 113.319173];

  // --- pictures ---

  var pictures = {}; // local id -> base64 of a JPEG

  function chooseImage(params, reply) {
    var made = [];
    for (var at = 0; at < Math.min(params.count || 9, 3); at++) made.push(newPicture());
    var body = made.map(function (id) {
      return picture(id);
    });
    sheet(t("The phone would open the album", "手机会打开相册"), body, t("Choose these", "选择这些"), function (chosen) {
      if (!chosen) return reply({ err_msg: "chooseImage:cancel" });
      // Android gives the list as text, which jweixin parses.
      reply({ err_msg: "chooseImage:ok", localIds: ios ? made : JSON.stringify(made), sourceType: "album" });
    });
  }

  function newPicture() {
    var number = Object.keys(pictures).length + 1;
    var canvas = document.createElement("canvas");
    canvas.width = canvas.height = 240;
    var paint = canvas.getContext("2d");
    var hue = (140 + number * 67) % 360;
    var sky = paint.createLinearGradient(0, 0, 0, 240);
    sky.addColorStop(0, "hsl(" + hue + ",65%,72%)");
    sky.addColorStop(1, "hsl(" + (hue + 40) + ",70%,88%)");
    paint.fillStyle = sky;
    paint.fillRect(0, 0, 240, 240);
    paint.fillStyle = "rgba(255,255,255,.85)";
    paint.beginPath();
    paint.arc(60 + ((number * 53) % 130), 72, 26, 0, 7);
    paint.fill();
    [
      [150, 0.55],
      [185, 0.4],
    ].forEach(function (hill, at) {
      paint.fillStyle = "hsl(" + (hue + 15) + ",38%," + hill[1] * 100 + "%)";
      paint.beginPath();
      paint.moveTo(0, 240);
      for (var x = 0; x <= 240; x += 6) paint.lineTo(x, hill[0] + 24 * Math.sin(x / 38 + number + at * 2));
      paint.lineTo(240, 240);
      paint.fill();
    });
    var id = (ios ? "wxLocalResource://sandbox" : "weixin://resourceid/sandbox") + number;
    pictures[id] = canvas.toDataURL("image/jpeg", 0.85).split(",")[1];
    return id;
  }

  function getLocalImgData(params, reply) {
    var base64 = pictures[params.localId];
    if (!base64) return reply({ err_msg: "getLocalImgData:fail_invalid localId" });
    // "jgp" is how iOS spells it.
    reply({ err_msg: "getLocalImgData:ok", localData: ios ? "data:image/jgp;base64," + base64 : base64 });
  }

  function picture(id) {
    var image = document.createElement("img");
    image.alt = "";
    image.src = pictures[id] ? "data:image/jpeg;base64," + pictures[id] : id;
    return image;
  }

  // --- the rest of the phone ---

  function scanQRCode(params, reply) {
    var field = document.createElement("input");
    field.value = "https://demo.example.com/scanned?from=wx-jssdk";
    field.setAttribute("aria-label", t("What the code says", "码中的内容"));
    sheet(
      t("The phone would open the camera. What does it see?", "手机会打开相机。它扫到的是："),
      [field],
      t("Scanned", "扫到了"),
      function (scanned) {
        if (!scanned) return reply({ err_msg: "scanQRCode:cancel" });
        var answer = { err_msg: "scanQRCode:ok" };
        // iOS wraps the text, jweixin unwraps it. With needResult 0 the client keeps it to itself.
        if (params.needResult)
          answer.resultStr = ios ? JSON.stringify({ scan_code: { scan_result: field.value } }) : field.value;
        reply(answer);
      },
    );
  }

  function map(params) {
    var box = document.createElement("div");
    box.className = "phone-map";
    var pin = document.createElement("span");
    pin.className = "phone-pin";
    var words = document.createElement("p");
    words.append(
      Object.assign(document.createElement("strong"), { textContent: params.name || "–" }),
      document.createElement("br"),
      params.latitude + ", " + params.longitude,
    );
    box.append(pin, words);
    return box;
  }

  /** A sheet over the page: what the phone would show. `done(true)` for its button, `done(false)` for anything else. */
  function sheet(title, body, action, done) {
    var dialog = document.createElement("dialog");
    dialog.className = "phone-sheet";
    var heading = Object.assign(document.createElement("h2"), { textContent: title });
    var main = Object.assign(document.createElement("div"), { className: "phone-body" });
    main.append.apply(main, body);
    var row = Object.assign(document.createElement("div"), { className: "row" });
    var close = button(action ? t("Cancel", "取消") : t("Close", "关闭"), "quiet", "");
    if (action) row.append(button(action, "primary", "done"));
    row.append(close);
    dialog.append(
      Object.assign(document.createElement("p"), { className: "phone-tag", textContent: t("simulated phone", "模拟手机") }),
      heading,
      main,
      row,
    );
    dialog.addEventListener("close", function () {
      dialog.remove();
      done(dialog.returnValue === "done");
    });
    function button(label, kind, value) {
      var one = Object.assign(document.createElement("button"), {
        type: "button",
        className: "button " + kind,
        textContent: label,
      });
      one.addEventListener("click", function () {
        dialog.close(value);
      });
      return one;
    }
    document.body.append(dialog);
    dialog.showModal();
  }

  // A phone's bridge comes after the page began; whoever waits for it hears this.
  document.dispatchEvent(new Event("WeixinJSBridgeReady"));
})();
