// What an interface needs besides an accepted signature: [short label, details], each [English, Chinese].

export const MERCHANT = [
  ["merchant", "需商户号"],
  [
    "A signature is not enough: a WeChat Pay merchant number bound to this account, the payment directory set to this page's path, and a prepay_id that your server gets from WeChat Pay, with a paySign over it. This service does not provide them.",
    "仅有签名不够：需要与账号绑定的微信支付商户号、将本页路径设为支付授权目录，并由你的服务端向微信支付下单取得 prepay_id 并计算 paySign；本服务不涉及支付。",
  ],
];
export const COUPON = [
  ["coupon", "需卡券"],
  [
    "A coupon of this account (its card_id) and the wx_card ticket. This server fetches that ticket and signs with it; the account needs the coupon permission, which WeChat gives to verified accounts only.",
    "需要本账号的卡券（card_id）与 wx_card ticket。ticket 由本服务自动取得并签名；卡券权限仅对已认证的账号开放。",
  ],
];
export const BEACON = [
  ["beacon", "需 iBeacon"],
  [
    "The account's permission for nearby devices (摇一摇周边), registered iBeacon devices near the phone, and Bluetooth switched on. WeChat is discontinuing this service; most clients no longer answer.",
    "账号须开通摇一摇周边，附近有已登记的 iBeacon 设备，并打开手机蓝牙。该能力已逐步下线，多数客户端不再响应。",
  ],
];
export const WECOM = [
  ["WeCom", "企业微信"],
  [
    "WeCom only, after agentConfig, and for an app that has the permission. Open this page in WeCom with ?account= naming a WeCom account of this server.",
    "仅限企业微信，须先通过 agentConfig，且应用具有相应权限。请在企业微信中打开本页，并用 ?account= 指定本服务中的企业微信账号。",
  ],
];
export const IN_MINI = [
  ["mini program", "小程序内"],
  [
    "Works only in the <web-view> of a mini program whose business domains include this page's. It needs no permission of wx.config.",
    "仅在小程序的 <web-view> 中有效，且本页域名须为该小程序的业务域名；无需 wx.config 授权。",
  ],
];
export const SERVICE = [
  ["service account", "需服务号"],
  [
    "A certified service account (已认证的服务号), the tag in wx.config's openTagList (this page asks for all four), WeChat 7.0.12 or newer, and no iframe around the page.",
    "需要已认证的服务号，并在 wx.config 的 openTagList 中申请该标签（本页已申请全部四个），微信 7.0.12 及以上，且页面不在 iframe 中。",
  ],
];
export const SHARING = [
  ["verified", "需认证"],
  [
    "An account that is not verified gets the signature accepted, but WeChat shows its own card instead of this one.",
    "未认证的账号也能通过签名，但分享出去的仍是微信的默认卡片。",
  ],
];
export const VERIFIED = [
  ["verified", "需认证"],
  ["WeChat gives this interface to verified accounts only.", "仅对已认证的账号开放。"],
];
