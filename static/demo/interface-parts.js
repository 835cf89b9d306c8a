// Constructors for interfaces.js: fields, and groups of similar interfaces.
//
// A field has a name, a kind and a value. Optional: required; from: the remembered value that fills it,
// source: the interface that provides it; sandbox: its value there; hint; min, max. "@page", "@share.png" and
// "@apis" are resolved later.

import { IN_MINI, SHARING, WECOM } from "./interface-needs.js";

export function text(name, value, more) {
  return { name, kind: "text", value, ...more };
}

export function number(name, value, more) {
  return { name, kind: "number", value, ...more };
}

export function choice(name, options, more) {
  return { name, kind: "choice", options, value: options[0], ...more };
}

export function flags(name, options, value, more) {
  return { name, kind: "flags", options, value, ...more };
}

/** A list with one text per line. */
export function list(name, value, more) {
  return { name, kind: "list", value, ...more };
}

export function json(name, value, more) {
  return { name, kind: "json", value, ...more };
}

export function tips() {
  return choice("isShowProgressTips", [1, 0]);
}

export function paid(packageText) {
  const bySandbox = (value) => ({ required: true, sandbox: value });
  return [
    text("timestamp", "", bySandbox("1414723227")),
    text("nonceStr", "", bySandbox("noncestr")),
    text("package", "", bySandbox(packageText.includes("=") ? packageText : `prepay_id=${packageText}`)),
    choice("signType", ["RSA", "MD5", "HMAC-SHA256"]),
    text("paySign", "", bySandbox("SANDBOX")),
  ];
}

export const SHARE_TITLE = ["wx-jssdk: the signature works", "wx-jssdk：签名可用"];
export const SHARE_DESC = ["WeChat accepted this page's signature. Open it to see.", "微信已认可本页的签名，点开看看。"];
export const SHARED = ["Set. Now share with ··· at the top right.", "已设置，请点右上角 ··· 分享。"];
const ARMED = ["Listening: it answers when you share with ···.", "已注册：点右上角 ··· 分享时才会回应。"];
export const SHOWN = ["The client shows it.", "已由客户端展示。"];
export const SENT = [
  "Done. The client shows no message; open the ··· menu to see it.",
  "已生效：客户端没有提示，请打开右上角 ··· 查看菜单。",
];
export const card = () => [
  text("title", SHARE_TITLE, { required: true }),
  text("desc", SHARE_DESC),
  text("link", "@page", {
    hint: [
      "Must be on a JS safe domain; otherwise WeChat silently ignores it.",
      "须在 JS接口安全域名下，否则微信会静默忽略。",
    ],
  }),
  text("imgUrl", "@share.png"),
];
export const menuCard = (name, title, replacedBy, fields = card()) => ({
  name,
  title,
  fields,
  via: "menu",
  needs: SHARING,
  replacedBy,
  says: () => ["Shared.", "已分享。"],
  armed: ARMED,
});
export const voice = (name, title, says, more) => ({
  name,
  title,
  fields: [text("localId", "", { required: true, from: "voice", source: "stopRecord" })],
  says: () => says,
  ...more,
});
export const page = (name, title, fields) => ({
  name: `miniProgram.${name}`,
  title,
  fields,
  via: "mini",
  client: "mini",
  needs: IN_MINI,
  says: () => ["Passed to the mini program.", "已交给小程序处理。"],
});
export const wecom = (name, title, fields, more) => ({
  name,
  title,
  fields,
  via: "invoke",
  client: "wecom",
  needs: WECOM,
  user: true,
  ...more,
});
export const MENU_ITEMS = [
  "menuItem:share:appMessage",
  "menuItem:share:timeline",
  "menuItem:share:qq",
  "menuItem:share:weiboApp",
  "menuItem:share:QZone",
  "menuItem:favorite",
  "menuItem:copyUrl",
  "menuItem:openWithQQBrowser",
  "menuItem:openWithSafari",
  "menuItem:share:email",
];
export const menuList = () => [flags("menuList", MENU_ITEMS, MENU_ITEMS.slice(1, 3), { required: true })];
