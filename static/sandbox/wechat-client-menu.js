// Sandbox only: the ··· menu of the simulated phone, sharing from it, and the window. See wechat-client.js.
(function () {
  "use strict";
  var phone = window.sandboxClient;
  if (!phone) return;
  var t = phone.t;
  var plays = phone.plays;

  // event: for pages with an old listener; send: jweixin's call after it; card: whose data is shared
  // otherwise.
  var SHARES = {
    "menuItem:share:appMessage": {
      label: ["Send to a chat", "发送给朋友"],
      event: "menu:share:appmessage",
      send: "sendAppMessage",
      card: "updateAppMessageShareData",
    },
    "menuItem:share:timeline": {
      label: ["Share to Moments", "分享到朋友圈"],
      event: "menu:share:timeline",
      send: "shareTimeline",
      card: "updateTimelineShareData",
    },
    "menuItem:share:qq": {
      label: ["Share to QQ", "分享到 QQ"],
      event: "menu:share:qq",
      send: "shareQQ",
      card: "updateAppMessageShareData",
    },
    "menuItem:share:QZone": {
      label: ["Share to QZone", "分享到 QQ 空间"],
      event: "menu:share:QZone",
      send: "shareQZone",
      card: "updateTimelineShareData",
    },
    "menuItem:share:weiboApp": {
      label: ["Share to Weibo", "分享到微博"],
      event: "menu:share:weiboApp",
      send: "shareWeiboApp",
      card: "updateAppMessageShareData",
    },
  };
  if (phone.client === "wecom")
    SHARES["menuItem:share:wechat"] = {
      label: ["Send to WeChat", "分享到微信"],
      event: "menu:share:wechat",
      send: "shareWechat",
    };
  var OTHERS = {
    "menuItem:favorite": ["Favourite", "收藏"],
    "menuItem:copyUrl": ["Copy link", "复制链接"],
    "menuItem:openWithQQBrowser": ["Open in QQ Browser", "在 QQ 浏览器打开"],
    "menuItem:openWithSafari": ["Open in Safari", "在 Safari 中打开"],
    "menuItem:share:email": ["Email", "邮件"],
  };
  var ITEMS = Object.keys(SHARES).concat(Object.keys(OTHERS));

  var cards = {}; // set by updateAppMessageShareData and updateTimelineShareData
  var hidden = {}; // menu item -> true
  var button = null;

  ["updateAppMessageShareData", "updateTimelineShareData"].forEach(function (name) {
    plays[name] = function (params, reply) {
      cards[name] = params;
      reply({ err_msg: name + ":ok" });
    };
  });

  function hiding(name, which) {
    plays[name] = function (params, reply) {
      which(params);
      reply({ err_msg: name + ":ok" });
    };
  }
  function each(names, value) {
    (names || []).forEach(function (item) {
      hidden[item] = value;
    });
  }
  hiding("hideMenuItems", function (params) {
    each(params.menuList, true);
  });
  hiding("showMenuItems", function (params) {
    each(params.menuList, false);
  });
  hiding("hideAllNonBaseMenuItem", function () {
    each(ITEMS, true);
  });
  hiding("showAllNonBaseMenuItem", function () {
    each(ITEMS, false);
  });
  hiding("hideOptionMenu", function () {
    button.hidden = true;
  });
  hiding("showOptionMenu", function () {
    button.hidden = false;
  });

  plays.closeWindow = function (params, reply) {
    phone.sheet(t("The phone would close this page now", "手机此时会关闭本页"), []);
    reply({ err_msg: "closeWindow:ok" });
  };

  // --- the menu ---

  function open() {
    var list = Object.assign(document.createElement("div"), { className: "phone-menu" });
    ITEMS.filter(function (item) {
      return !hidden[item];
    }).forEach(function (item) {
      var label = SHARES[item] ? SHARES[item].label : OTHERS[item];
      var one = Object.assign(document.createElement("button"), {
        type: "button",
        className: "btn quiet",
        textContent: t(label[0], label[1]),
      });
      one.addEventListener("click", function () {
        menu.close();
        if (SHARES[item]) share(SHARES[item]);
      });
      list.append(one);
    });
    var nothing = Object.assign(document.createElement("p"), {
      textContent: t("Every item is hidden.", "所有菜单项都已隐藏。"),
    });
    var menu = phone.sheet(t("The menu behind ···", "右上角 ··· 菜单"), [list.childElementCount ? list : nothing]);
  }

  function share(way) {
    // An old listener answers with its own card. Otherwise: the card that was set, or the bare page.
    if (phone.emit(way.event, {})) return;
    var card = cards[way.card] || { title: document.title, link: location.href, imgUrl: "" };
    preview(way, card, function () {});
  }

  Object.keys(SHARES).forEach(function (item) {
    var way = SHARES[item];
    phone.events[way.event] = true;
    phone.free[way.send] = true;
    plays[way.send] = function (params, reply) {
      preview(way, { title: params.title, desc: params.desc, imgUrl: params.img_url }, function (sent) {
        reply({ err_msg: way.send + (sent ? ":ok" : ":cancel") });
      });
    };
  });

  function preview(way, card, done) {
    var box = Object.assign(document.createElement("div"), { className: "bubble" });
    box.append(Object.assign(document.createElement("strong"), { textContent: card.title || "–" }));
    if (way.event !== "menu:share:timeline")
      box.append(Object.assign(document.createElement("span"), { textContent: card.desc || "" }));
    if (card.imgUrl)
      box.append(Object.assign(document.createElement("img"), { src: card.imgUrl, alt: "", width: 48, height: 48 }));
    phone.sheet(t(way.label[0] + ": this is what they see", way.label[1] + "：对方会看到"), [box], t("Send", "发送"), done);
  }

  function addButton() {
    button = Object.assign(document.createElement("button"), { type: "button", id: "phone-menu", className: "btn btn-small", textContent: "···" });
    button.setAttribute("aria-label", t("The simulated phone's menu ···", "模拟手机的 ··· 菜单"));
    button.addEventListener("click", open);
    var bar = document.getElementById("sandbox-actions");
    if (bar) bar.prepend(button);
  }
  addButton();
})();
