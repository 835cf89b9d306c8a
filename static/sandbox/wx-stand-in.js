// Sandbox only, used if neither of WeChat's script hosts can be reached: a stand-in for jweixin.
//
// It has jweixin 1.6.0's functions and its visible behaviour: the names on the bridge, the shape of their
// parameters, the wording of answers, and that a failed config runs the error callback and then every ready
// callback.
(function () {
  "use strict";
  if (window.wx) return;

  var BRIDGE_NAMES = {
    config: "preVerifyJSAPI",
    onMenuShareTimeline: "menu:share:timeline",
    onMenuShareAppMessage: "menu:share:appmessage",
    onMenuShareQQ: "menu:share:qq",
    onMenuShareWeibo: "menu:share:weiboApp",
    onMenuShareQZone: "menu:share:QZone",
    previewImage: "imagePreview",
    getLocation: "geoLocation",
    openProductSpecificView: "openProductViewWithPid",
    addCard: "batchAddCard",
    openCard: "batchViewCard",
    chooseWXPay: "getBrandWCPayRequest",
    openEnterpriseRedPacket: "getRecevieBizHongBaoRequest",
    startSearchBeacons: "startMonitoringBeacons",
    stopSearchBeacons: "stopMonitoringBeacons",
    onSearchBeacons: "onBeaconsInRange",
    consumeAndShareCard: "consumedShareCard",
    openAddress: "editAddress",
  };
  var WEB_NAMES = {};
  Object.keys(BRIDGE_NAMES).forEach(function (name) {
    WEB_NAMES[BRIDGE_NAMES[name]] = name;
  });
  var android = /android/i.test(navigator.userAgent);

  var common = {};
  var answered = null; // the config's answer
  var onReady = [];
  var onError = null;

  function bridgeName(name) {
    return BRIDGE_NAMES[name] || name;
  }

  function bridgeNames(list) {
    return list && list.map(bridgeName);
  }

  function invoke(name, params, handlers, reshape) {
    window.WeixinJSBridge.invoke(bridgeName(name), Object.assign({}, params, common), function (raw) {
      settle(normalise(name, raw || {}), handlers, reshape);
    });
  }

  function settle(res, handlers, reshape) {
    if (reshape) reshape(res);
    var verdict = res.errMsg.slice(res.errMsg.indexOf(":") + 1);
    var handler = verdict === "ok" ? handlers.success : verdict === "cancel" ? handlers.cancel : handlers.fail;
    if (handler) handler(res);
    if (handlers.complete) handlers.complete(res);
  }

  /** `preVerifyJSAPI:fail_invalid signature` becomes `config:invalid signature`, as in jweixin. */
  function normalise(name, raw) {
    var res = Object.assign({}, raw);
    var says = res.errMsg;
    if (says === undefined) {
      var word = String(res.err_msg || ":ok");
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

  function renamed(res, names) {
    Object.keys(names).forEach(function (from) {
      res[names[from]] = res[from];
      delete res[from];
    });
  }

  // --- the interfaces: their parameters on the bridge, and changes to their answers ---

  var wx = {};

  function api(name, pick, reshape) {
    wx[name] = function (options) {
      options = options || {};
      invoke(name, pick ? pick(options) : {}, options, reshape);
    };
  }

  /** Passes these parameters under the same names. */
  function fields() {
    var names = arguments;
    return function (options) {
      var picked = {};
      Array.prototype.forEach.call(names, function (name) {
        picked[name] = options[name];
      });
      return picked;
    };
  }

  function withTips(id) {
    return function (options) {
      var picked = { isShowProgressTips: options.isShowProgressTips == 0 ? 0 : 1 };
      picked[id] = options[id];
      return picked;
    };
  }

  function paid(o) {
    return {
      timeStamp: o.timestamp + "",
      nonceStr: o.nonceStr,
      package: o.package,
      paySign: o.paySign,
      signType: o.signType || "SHA1",
    };
  }

  [
    ["hideOptionMenu", "showOptionMenu", "hideAllNonBaseMenuItem", "showAllNonBaseMenuItem", "closeWindow"],
    ["startRecord", "stopRecord", "stopSearchBeacons"],
  ].forEach(function (names) {
    names.forEach(function (name) {
      api(name);
    });
  });
  ["playVoice", "pauseVoice", "stopVoice", "getLocalImgData"].forEach(function (name) {
    api(name, fields("localId"));
  });
  ["uploadVoice", "translateVoice", "uploadImage"].forEach(function (name) {
    api(name, withTips("localId"));
  });
  ["downloadVoice", "downloadImage"].forEach(function (name) {
    api(name, withTips("serverId"));
  });
  ["hideMenuItems", "showMenuItems"].forEach(function (name) {
    api(name, fields("menuList"));
  });
  api("updateAppMessageShareData", fields("title", "desc", "link", "imgUrl"));
  api("updateTimelineShareData", fields("title", "link", "imgUrl"));
  api("previewImage", fields("current", "urls"));
  api("startSearchBeacons", fields("ticket"));
  api("chooseWXPay", paid);
  api("openEnterpriseRedPacket", paid);
  api(
    "checkJsApi",
    function (options) {
      return { jsApiList: bridgeNames(options.jsApiList) };
    },
    function (res) {
      var raw = parsed(res.checkResult) || {};
      res.checkResult = {};
      Object.keys(raw).forEach(function (name) {
        res.checkResult[WEB_NAMES[name] || name] = raw[name];
      });
    },
  );
  api(
    "chooseImage",
    function (o) {
      return { scene: "1|2", count: o.count || 9, sizeType: o.sizeType, sourceType: o.sourceType };
    },
    function (res) {
      if (android && res.localIds) res.localIds = parsed(res.localIds);
    },
  );
  api("getLocation", function (o) {
    return { type: o.type || "wgs84" };
  });
  api("openLocation", function (o) {
    return {
      latitude: o.latitude || 0,
      longitude: o.longitude || 0,
      name: o.name || "",
      address: o.address || "",
      scale: o.scale || 28,
      infoUrl: o.infoUrl || "",
    };
  });
  api(
    "scanQRCode",
    function (o) {
      return { needResult: o.needResult || 0, scanType: o.scanType || ["qrCode", "barCode"] };
    },
    function (res) {
      if (/iphone|ipad/i.test(navigator.userAgent) && res.resultStr)
        res.resultStr = JSON.parse(res.resultStr).scan_code.scan_result;
    },
  );
  api("openAddress", null, function (res) {
    renamed(res, {
      addressPostalCode: "postalCode",
      proviceFirstStageName: "provinceName",
      addressCitySecondStageName: "cityName",
      addressCountiesThirdStageName: "countryName",
      addressDetailInfo: "detailInfo",
    });
  });
  api("openProductSpecificView", function (o) {
    return { pid: o.productId, view_type: o.viewType || 0, ext_info: o.extInfo };
  });
  api(
    "addCard",
    function (o) {
      return {
        card_list: o.cardList.map(function (one) {
          return { card_id: one.cardId, card_ext: one.cardExt };
        }),
      };
    },
    function (res) {
      if (!res.card_list) return;
      res.cardList = JSON.parse(res.card_list).map(function (one) {
        return { cardId: one.card_id, cardExt: one.card_ext, isSuccess: Boolean(one.is_succ) };
      });
      delete res.card_list;
    },
  );
  api(
    "chooseCard",
    function (o) {
      return {
        app_id: common.appId,
        location_id: o.shopId || "",
        sign_type: o.signType || "SHA1",
        card_id: o.cardId || "",
        card_type: o.cardType || "",
        card_sign: o.cardSign,
        time_stamp: o.timestamp + "",
        nonce_str: o.nonceStr,
      };
    },
    function (res) {
      renamed(res, { choose_card_info: "cardList" });
    },
  );
  api("openCard", function (o) {
    return {
      card_list: o.cardList.map(function (one) {
        return { card_id: one.cardId, code: one.code };
      }),
    };
  });
  api("consumeAndShareCard", function (o) {
    return { consumedCardId: o.cardId, consumedCode: o.code };
  });
  api("openEnterpriseChat", function (o) {
    return { useridlist: o.userIds, chatname: o.groupName };
  });
  api("launchMiniProgram", function (o) {
    return { targetAppId: o.targetAppId, path: (o.path || "").replace(/^([^?]+)/, "$1.html"), envVersion: o.envVersion };
  });
  api(
    "openBusinessView",
    function (o) {
      return { businessType: o.businessType, queryString: o.queryString || "", envVersion: o.envVersion };
    },
    function (res) {
      if (android && res.extraData) res.extraData = parsed(res.extraData);
    },
  );
  wx.getNetworkType = function (options) {
    var handlers = options || {};
    window.WeixinJSBridge.invoke("getNetworkType", Object.assign({}, common), function (raw) {
      var found = /^network_type:(.+)$/.exec(raw.err_msg || "");
      settle(found ? { networkType: found[1], errMsg: "getNetworkType:ok" } : normalise("getNetworkType", raw), handlers);
    });
  };

  // --- listeners ---

  ["onVoiceRecordEnd", "onVoicePlayEnd", "onSearchBeacons"].forEach(function (name) {
    wx[name] = function (options) {
      window.WeixinJSBridge.on(bridgeName(name), function (raw) {
        settle(normalise(name, raw || {}), options);
      });
    };
  });
  var SENDS = {
    onMenuShareTimeline: "shareTimeline",
    onMenuShareAppMessage: "sendAppMessage",
    onMenuShareQQ: "shareQQ",
    onMenuShareWeibo: "shareWeiboApp",
    onMenuShareQZone: "shareQZone",
  };
  Object.keys(SENDS).forEach(function (name) {
    wx[name] = function (o) {
      window.WeixinJSBridge.on(bridgeName(name), function (raw) {
        if (o.trigger) o.trigger(raw);
        var timeline = name === "onMenuShareTimeline";
        invoke(
          SENDS[name],
          {
            title: o.title || document.title,
            desc: (timeline ? o.title : o.desc) || "",
            img_url: o.imgUrl || "",
            link: o.link || location.href,
          },
          o,
        );
      });
    };
  });

  // --- mini programs ---

  wx.miniProgram = {
    getEnv: function (callback) {
      callback({ miniprogram: window.__wxjs_environment === "miniprogram" });
    },
  };
  ["navigateBack", "navigateTo", "redirectTo", "switchTab", "reLaunch", "postMessage"].forEach(function (name) {
    wx.miniProgram[name] = function (o) {
      o = o || {};
      var arg = name === "postMessage" ? o.data || {} : name === "navigateBack" ? { delta: o.delta || 1 } : { url: o.url };
      invoke("invokeMiniProgramAPI", { name: name, arg: arg }, o);
    };
  });

  // --- the config ---

  wx.config = function (config) {
    common = {
      appId: config.appId,
      verifyAppId: config.appId,
      verifySignType: "sha1",
      verifyTimestamp: config.timestamp + "",
      verifyNonceStr: config.nonceStr,
      verifySignature: config.signature,
    };
    wx.invoke = function (name, params, callback) {
      window.WeixinJSBridge.invoke(name, Object.assign({}, params, common), callback);
    };
    wx.on = function (event, callback) {
      window.WeixinJSBridge.on(event, callback);
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
      { verifyJsApiList: bridgeNames(config.jsApiList), verifyOpenTagList: config.openTagList },
      { complete: settled },
    );
  };
  wx.ready = function (callback) {
    if (answered) callback();
    else onReady.push(callback);
  };
  wx.error = function (callback) {
    onError = callback;
  };
  window.wx = wx;
})();
