// Sandbox only, and only where neither of WeChat's script hosts can be reached: a stand-in for jweixin.
//
// It knows the interfaces of the demo page, and follows jweixin 1.6.0 in what a page can notice: the names on the bridge,
// the wording of answers, and that a failed config runs the error callback and then every ready callback.
(function () {
  "use strict";
  if (window.wx) return;

  var BRIDGE_NAMES = { config: "preVerifyJSAPI", getLocation: "geoLocation", previewImage: "imagePreview" };
  var WEB_NAMES = { geoLocation: "getLocation", imagePreview: "previewImage" };
  var android = /android/i.test(navigator.userAgent);

  var common = {};
  var answered = null; // the config's answer, once there is one
  var onReady = [];
  var onError = null;

  function bridgeName(name) {
    return BRIDGE_NAMES[name] || name;
  }

  function invoke(name, params, handlers, reshape) {
    window.WeixinJSBridge.invoke(bridgeName(name), Object.assign({}, params, common), function (raw) {
      var res = normalise(name, raw || {});
      if (reshape) reshape(res);
      var verdict = res.errMsg.slice(res.errMsg.indexOf(":") + 1);
      var handler = verdict === "ok" ? handlers.success : verdict === "cancel" ? handlers.cancel : handlers.fail;
      if (handler) handler(res);
      if (handlers.complete) handlers.complete(res);
    });
  }

  /** `preVerifyJSAPI:fail_invalid signature` -> `config:invalid signature`, as jweixin words it. */
  function normalise(name, raw) {
    var res = Object.assign({}, raw);
    var says = res.errMsg;
    if (says === undefined) {
      var word = String(res.err_msg || "");
      word = word.slice(word.indexOf(":") + 1);
      if (word === "confirm") word = "ok";
      if (word === "failed") word = "fail";
      word = word
        .replace(/^failed_|^fail_/, "")
        .replace(/_/g, " ")
        .toLowerCase();
      if (word === "access denied" || word === "no permission to execute") word = "permission denied";
      if (name === "config" && word === "function not exist") word = "ok";
      says = name + ":" + (word || "fail");
    }
    ["err_msg", "err_code", "err_desc", "err_detail"].forEach(function (field) {
      delete res[field];
    });
    res.errMsg = says;
    return res;
  }

  function parsed(value) {
    return typeof value === "string" ? JSON.parse(value) : value;
  }

  function api(name, pick, reshape) {
    return function (options) {
      options = options || {};
      invoke(name, pick(options), options, reshape);
    };
  }

  window.wx = {
    config: function (config) {
      common = {
        appId: config.appId,
        verifyAppId: config.appId,
        verifySignType: "sha1",
        verifyTimestamp: config.timestamp + "",
        verifyNonceStr: config.nonceStr,
        verifySignature: config.signature,
      };
      var settled = function (res) {
        answered = res;
        if (res.errMsg !== "config:ok" && onError) onError(res);
        onReady.splice(0).forEach(function (ready) {
          ready();
        });
      };
      invoke(
        "config",
        { verifyJsApiList: config.jsApiList.map(bridgeName), verifyOpenTagList: config.openTagList },
        { complete: settled },
      );
    },
    ready: function (callback) {
      if (answered) callback();
      else onReady.push(callback);
    },
    error: function (callback) {
      onError = callback;
    },
    checkJsApi: api(
      "checkJsApi",
      function (options) {
        return { jsApiList: options.jsApiList.map(bridgeName) };
      },
      function (res) {
        var raw = parsed(res.checkResult) || {};
        res.checkResult = {};
        Object.keys(raw).forEach(function (name) {
          res.checkResult[WEB_NAMES[name] || name] = raw[name];
        });
      },
    ),
    updateAppMessageShareData: api("updateAppMessageShareData", function (o) {
      return { title: o.title, desc: o.desc, link: o.link, imgUrl: o.imgUrl };
    }),
    updateTimelineShareData: api("updateTimelineShareData", function (o) {
      return { title: o.title, link: o.link, imgUrl: o.imgUrl };
    }),
    chooseImage: api(
      "chooseImage",
      function (o) {
        return { scene: "1|2", count: o.count || 9, sizeType: o.sizeType, sourceType: o.sourceType };
      },
      function (res) {
        if (android && res.localIds) res.localIds = parsed(res.localIds);
      },
    ),
    getLocalImgData: api("getLocalImgData", function (o) {
      return { localId: o.localId };
    }),
    previewImage: api("previewImage", function (o) {
      return { current: o.current, urls: o.urls };
    }),
    getLocation: api("getLocation", function (o) {
      return { type: o.type || "wgs84" };
    }),
    openLocation: api("openLocation", function (o) {
      return {
        latitude: o.latitude || 0,
        longitude: o.longitude || 0,
        name: o.name || "",
        address: o.address || "",
        scale: o.scale || 28,
        infoUrl: o.infoUrl || "",
      };
    }),
    scanQRCode: api(
      "scanQRCode",
      function (o) {
        return { needResult: o.needResult || 0, scanType: o.scanType || ["qrCode", "barCode"] };
      },
      function (res) {
        if (!android && res.resultStr) res.resultStr = JSON.parse(res.resultStr).scan_code.scan_result;
      },
    ),
    getNetworkType: function (options) {
      var handlers = options || {};
      window.WeixinJSBridge.invoke("getNetworkType", Object.assign({}, common), function (raw) {
        var found = /^network_type:(.+)$/.exec(raw.err_msg || "");
        var res = found ? { networkType: found[1], errMsg: "getNetworkType:ok" } : normalise("getNetworkType", raw);
        var handler = found ? handlers.success : handlers.fail;
        if (handler) handler(res);
        if (handlers.complete) handlers.complete(res);
      });
    },
  };
})();
