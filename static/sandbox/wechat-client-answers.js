// Sandbox only: the simulated phone's answers, except media and menu. See wechat-client.js.
(function () {
  "use strict";
  var phone = window.sandboxClient;
  if (!phone) return;
  var t = phone.t;
  var plays = phone.plays;
  var android = phone.forms === "android";

  function note(text) {
    return Object.assign(document.createElement("p"), { className: "phone-note", textContent: text });
  }

  /** Shows what the phone would show, and answers at once. */
  function shows(name, title, describe, answer) {
    plays[name] = function (params, reply) {
      phone.sheet(title, [note(describe(params))]);
      reply(Object.assign({ err_msg: name + ":ok" }, answer));
    };
  }

  /**
   * Shows what the phone would ask and answers with the user's choice. `cancelled`: the interface's text for
   * a cancel.
   */
  function asks(name, title, describe, action, answer, cancelled) {
    plays[name] = function (params, reply) {
      phone.sheet(title, [note(describe(params))], action, function (agreed) {
        if (!agreed) return reply({ err_msg: name + (cancelled || ":cancel") });
        reply(Object.assign({ err_msg: name + ":ok" }, typeof answer === "function" ? answer(params) : answer));
      });
    };
  }

  // --- location and network ---

  // WeChat's own example location, in the map's and in the satellites' coordinate system.
  var GCJ02 = [23.099994, 113.32452];
  var WGS84 = [23.102553, 113.319173];

  plays.geoLocation = function (params, reply) {
    var at = params.type === "gcj02" ? GCJ02 : WGS84;
    var form = android ? String : Number; // some Android clients return texts
    reply({
      err_msg: "geoLocation:ok",
      latitude: form(at[0]),
      longitude: form(at[1]),
      speed: android ? "0.0" : 0,
      accuracy: android ? "30.0" : 30,
    });
  };

  plays.openLocation = function (params, reply) {
    var box = Object.assign(document.createElement("div"), { className: "phone-map" });
    var words = document.createElement("p");
    words.append(
      Object.assign(document.createElement("strong"), { textContent: params.name || "–" }),
      document.createElement("br"),
      params.latitude + ", " + params.longitude,
    );
    box.append(Object.assign(document.createElement("span"), { className: "phone-pin" }), words);
    phone.sheet(t("The phone would show a map", "手机会打开地图"), [box]);
    reply({ err_msg: "openLocation:ok" });
  };

  plays.getNetworkType = function (params, reply) {
    reply({ err_msg: "network_type:wifi" });
  };

  plays.scanQRCode = function (params, reply) {
    var field = document.createElement("input");
    field.value = "https://demo.example.com/scanned?from=wx-jssdk";
    field.setAttribute("aria-label", t("What the code says", "码中的内容"));
    var title = t("The phone would open the camera. What does it see?", "手机会打开相机。它扫到的是：");
    phone.sheet(title, [field], t("Scanned", "扫到了"), function (scanned) {
      if (!scanned) return reply({ err_msg: "scanQRCode:cancel" });
      var answer = { err_msg: "scanQRCode:ok" };
      // iOS wraps the text, jweixin unwraps it. With needResult 0 the client does not return it.
      if (params.needResult)
        answer.resultStr = phone.forms === "ios" ? JSON.stringify({ scan_code: { scan_result: field.value } }) : field.value;
      reply(answer);
    });
  };

  // --- beacons ---

  phone.events.onBeaconsInRange = true;
  var searching = null;
  plays.startMonitoringBeacons = function (params, reply) {
    reply({ err_msg: "startMonitoringBeacons:ok" });
    clearTimeout(searching);
    searching = setTimeout(function () {
      var beacon = { uuid: "FDA50693-A4E2-4FB1-AFCF-C6EB07647825", major: 10001, minor: 19641, accuracy: 1.2, rssi: -64 };
      phone.emit("onBeaconsInRange", { err_msg: "onBeaconsInRange:ok", beacons: [beacon] });
    }, 800);
  };
  plays.stopMonitoringBeacons = function (params, reply) {
    clearTimeout(searching);
    reply({ err_msg: "stopMonitoringBeacons:ok" });
  };

  // --- coupons, money, address ---

  asks(
    "batchAddCard",
    t("The phone would add the coupon", "手机会添加卡券"),
    function (params) {
      return params.card_list[0].card_id;
    },
    t("Add", "领取"),
    function (params) {
      var added = params.card_list.map(function (one) {
        return { card_id: one.card_id, card_ext: one.card_ext, is_succ: 1 };
      });
      return { card_list: JSON.stringify(added) };
    },
  );
  asks(
    "chooseCard",
    t("The phone would list your coupons", "手机会列出你的卡券"),
    function () {
      return t("One coupon of the sandbox", "沙箱的一张卡券");
    },
    t("Choose it", "选择"),
    { choose_card_info: JSON.stringify([{ card_id: "pSandboxCoupon0000000000001", encrypt_code: "c2FuZGJveA==" }]) },
  );
  shows("batchViewCard", t("The phone would open the coupon", "手机会打开卡券"), function (params) {
    return params.card_list[0].card_id + " · " + params.card_list[0].code;
  });
  shows(
    "consumedShareCard",
    t("The phone would use up the coupon and share it", "手机会核销卡券并再次赠送"),
    function (params) {
      return params.consumedCardId + " · " + params.consumedCode;
    },
  );
  plays.getBrandWCPayRequest = function (params, reply) {
    if (!/^prepay_id=./.test(params.package || "")) return reply({ err_msg: "getBrandWCPayRequest:fail_missing prepay_id" });
    var title = t("The phone would ask for the payment password", "手机会要求输入支付密码");
    phone.sheet(title, [note(params.package + " · " + params.signType)], t("Pay", "支付"), function (paid) {
      reply({ err_msg: "getBrandWCPayRequest:" + (paid ? "ok" : "cancel") });
    });
  };
  asks(
    "getRecevieBizHongBaoRequest",
    t("The phone would open the red packet", "手机会打开红包"),
    function (params) {
      return params.package;
    },
    t("Open", "拆红包"),
    {},
  );
  asks(
    "openBusinessView",
    t("The phone would leave for WeChat Pay's own page", "手机会跳转到微信支付页面"),
    function (params) {
      return params.businessType + " · " + params.queryString;
    },
    t("Done there", "完成"),
    // Android returns a text, which jweixin parses.
    { extraData: android ? '{"query_id":"sandbox"}' : { query_id: "sandbox" } },
  );
  asks(
    "editAddress",
    t("The phone would list your addresses", "手机会列出你的收货地址"),
    function () {
      return "张三 · 广东省广州市海珠区新港中路 397 号";
    },
    t("Use this one", "使用此地址"),
    {
      userName: "张三",
      telNumber: "020-81167888",
      addressPostalCode: "510000",
      proviceFirstStageName: "广东省",
      addressCitySecondStageName: "广州市",
      addressCountiesThirdStageName: "海珠区",
      addressDetailInfo: "新港中路 397 号",
      nationalCode: "440105",
    },
  );
  shows("openProductViewWithPid", t("The phone would open the shop's product", "手机会打开商品页"), function (params) {
    return String(params.pid);
  });

  // --- mini programs ---

  asks(
    "launchMiniProgram",
    t("The phone would open the mini program", "手机会打开小程序"),
    function (params) {
      return params.targetAppId + " · " + (params.path || "");
    },
    t("Allow", "允许"),
    {},
  );
  phone.needsNoConfig.invokeMiniProgramAPI = true;
  plays.invokeMiniProgramAPI = function (params, reply) {
    if (phone.client !== "mini") return reply({ err_msg: "invokeMiniProgramAPI:fail_not in a mini program" });
    phone.sheet(t("The mini program would do this", "小程序会执行"), [note(params.name + " " + JSON.stringify(params.arg))]);
    reply({ err_msg: "invokeMiniProgramAPI:ok" });
  };

  // --- WeCom ---

  if (phone.client !== "wecom") return;
  var agent = false;
  phone.needsNoConfig.agentConfig = true;
  plays.agentConfig = function (params, reply) {
    var question = { kind: "agentConfig", url: location.href, jsApiList: params.jsApiList };
    ["corpid", "agentid", "timestamp", "nonceStr", "signature"].forEach(function (field) {
      question[field] = params[field];
    });
    phone.preVerify(question, "agentConfig", function (answer) {
      agent = answer.err_msg === "agentConfig:ok";
      if (agent) phone.grant(params.jsApiList || []);
      reply(answer);
    });
  };
  shows("openEnterpriseChat", t("WeCom would open a chat", "企业微信会打开会话"), function (params) {
    return params.chatname + " · " + params.useridlist;
  });
  shows("openUserProfile", t("WeCom would show the profile", "企业微信会打开个人信息页"), function (params) {
    return String(params.userid);
  });
  shows("sendChatMessage", t("WeCom would send this into the chat", "企业微信会发送到当前会话"), function (params) {
    return JSON.stringify(params[params.msgtype] || {});
  });
  asks(
    "selectEnterpriseContact",
    t("WeCom would open the contacts", "企业微信会打开通讯录"),
    function () {
      return t("Zhang San", "张三");
    },
    t("Choose", "选择"),
    { result: { departmentList: [], userList: [{ id: "zhangsan", name: t("Zhang San", "张三") }] } },
  );
  asks(
    "selectExternalContact",
    t("WeCom would list the customers", "企业微信会列出客户"),
    function () {
      return t("One customer of the sandbox", "沙箱的一位客户");
    },
    t("Choose", "选择"),
    { userIds: ["wmSandboxCustomer00000001"] },
  );
  plays.getContext = function (params, reply) {
    reply({ err_msg: "getContext:ok", entry: "normal" });
  };
  plays.getCurExternalContact = function (params, reply) {
    reply({ err_msg: "getCurExternalContact:ok", userId: "wmSandboxCustomer00000001" });
  };
  // All but the chat need agentConfig, whatever wx.config was granted.
  [
    "openUserProfile",
    "sendChatMessage",
    "selectEnterpriseContact",
    "selectExternalContact",
    "getContext",
    "getCurExternalContact",
  ].forEach(function (name) {
    var play = plays[name];
    plays[name] = function (params, reply) {
      if (agent) return play(params, reply);
      reply({
        err_msg: name + ":permission denied",
        reason: {
          en: "Call agentConfig first, see above.",
          zh: "须先通过 agentConfig，请先点击上方的「注入应用权限」。",
        },
      });
    };
  });
})();
