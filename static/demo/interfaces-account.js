// Interfaces that need more than a signature: a certified account, a merchant, a coupon, another client.
// Read interfaces.js first.

import { BEACON, COUPON, MERCHANT, SERVICE, VERIFIED, WECOM } from "./interface-needs.js";
import { SHOWN, choice, flags, json, number, page, paid, text, wecom } from "./interface-parts.js";

export const ACCOUNT = [
  {
    id: "beacon",
    title: ["Beacons", "摇一摇周边"],
    icon: "beacon",
    list: [
      {
        name: "startSearchBeacons",
        title: ["Start searching", "开始查找周边设备"],
        fields: [
          text("ticket", "", {
            hint: ["From the shake page's URL; otherwise empty.", "摇周边业务页面 URL 中的 ticket，其他场景留空。"],
          }),
        ],
        needs: BEACON,
        user: true,
        says: () => ["Searching: results arrive at onSearchBeacons.", "查找中，结果由 onSearchBeacons 返回。"],
      },
      {
        name: "stopSearchBeacons",
        title: ["Stop searching", "停止查找周边设备"],
        needs: BEACON,
        says: () => ["Stopped.", "已停止。"],
      },
      {
        name: "onSearchBeacons",
        title: ["Listen: found nearby", "监听周边设备"],
        via: "listen",
        needs: BEACON,
        armed: [
          "Listening: it answers after startSearchBeacons, when one is near.",
          "已监听：调用 startSearchBeacons 且附近有设备时才会回应。",
        ],
        says: (res) => [`${(res.beacons || []).length} found`, `发现 ${(res.beacons || []).length} 个设备`],
      },
    ],
  },
  {
    id: "card",
    title: ["Cards", "卡券"],
    icon: "card",
    list: [
      {
        name: "addCard",
        title: ["Add a coupon", "添加卡券"],
        about: ["cardExt is signed by this server when you press the button.", "cardExt 会在点击时由本服务实时签名。"],
        fields: [
          text("cardId", "", { required: true, sandbox: "pSandboxCoupon0000000000001", from: "cardId" }),
          text("code", ""),
          text("openid", ""),
        ],
        signs: "card-ext",
        needs: COUPON,
        user: true,
        says: (res) => [
          `${(res.cardList || []).filter((one) => one.isSuccess).length} added`,
          `已添加 ${(res.cardList || []).filter((one) => one.isSuccess).length} 张`,
        ],
      },
      {
        name: "chooseCard",
        title: ["Choose a coupon", "拉取适用卡券列表"],
        about: ["cardSign is signed by this server when you press the button.", "cardSign 会在点击时由本服务实时签名。"],
        fields: [
          text("shopId", ""),
          choice("cardType", ["", "GROUPON", "CASH", "DISCOUNT", "GIFT", "GENERAL_COUPON"]),
          text("cardId", ""),
        ],
        signs: "choose-card",
        needs: COUPON,
        user: true,
        says: () => [
          "Chosen: cardList holds encrypted codes for your server.",
          "已选择：cardList 中是加密的 code，由你的服务端解码。",
        ],
      },
      {
        name: "openCard",
        title: ["Open a coupon", "查看卡券"],
        fields: [
          text("cardId", "", { required: true, sandbox: "pSandboxCoupon0000000000001" }),
          text("code", "", { required: true, sandbox: "198374613512" }),
        ],
        shape: ({ cardId, code }) => ({ cardList: [{ cardId, code }] }),
        needs: COUPON,
        says: () => SHOWN,
      },
      {
        name: "consumeAndShareCard",
        title: ["Use up and share a coupon", "核销后再次赠送卡券"],
        fields: [
          text("cardId", "", { required: true, sandbox: "pSandboxCoupon0000000000001" }),
          text("code", "", { required: true, sandbox: "198374613512" }),
        ],
        needs: COUPON,
        user: true,
        says: () => SHOWN,
      },
    ],
  },
  {
    id: "pay",
    title: ["Payment", "支付"],
    icon: "pay",
    list: [
      {
        name: "chooseWXPay",
        title: ["WeChat Pay", "微信支付"],
        about: [
          "Your server provides all five together. signType defaults to SHA1, which WeChat Pay does not use.",
          "五个参数由你的服务端一并给出；signType 默认为 SHA1，但支付并不使用它。",
        ],
        fields: paid("wx201410272009395522657a690389285100"),
        needs: MERCHANT,
        user: true,
        says: () => [
          "The client reports a payment. Your server must confirm it with WeChat Pay.",
          "客户端报告已支付；服务端须自行向微信支付查单确认。",
        ],
      },
      {
        name: "openBusinessView",
        title: ["WeChat Pay's own views", "跳转微信支付业务"],
        about: ["For example wxpayScoreUse: the payment score.", "例如 wxpayScoreUse：微信支付分。"],
        fields: [
          text("businessType", "wxpayScoreUse", { required: true }),
          text("queryString", "", { required: true, sandbox: "mch_id=1230000109&package=XXXXXXXX&sign=SANDBOX" }),
          choice("envVersion", ["release", "trial", "develop"]),
        ],
        needs: MERCHANT,
        user: true,
        says: () => SHOWN,
      },
    ],
  },
  {
    id: "address",
    title: ["Address", "收货地址"],
    icon: "home",
    list: [
      {
        name: "openAddress",
        title: ["Delivery address", "获取收货地址"],
        about: ["The district is in countryName (jweixin's spelling).", "区县在 countryName 中：jweixin 就是这样拼写的。"],
        needs: VERIFIED,
        user: true,
        says: (res) =>
          [res.userName, res.provinceName, res.cityName, res.countryName, res.detailInfo].filter(Boolean).join(" "),
      },
    ],
  },
  {
    id: "product",
    title: ["Product view", "微信小店"],
    icon: "bag",
    list: [
      {
        name: "openProductSpecificView",
        title: ["Open a product", "跳转商品页"],
        fields: [
          text("productId", "", { required: true, sandbox: "pSandboxProduct000000000001" }),
          choice("viewType", [0, 1, 2]),
        ],
        needs: [
          ["shop", "需小店"],
          [
            "A product of a WeChat shop that belongs to this account (its product id).",
            "需要本账号微信小店中的商品（productId）。",
          ],
        ],
        says: () => SHOWN,
      },
    ],
  },
  {
    id: "redpacket",
    title: ["Red packet", "红包"],
    icon: "gift",
    list: [
      {
        name: "openEnterpriseRedPacket",
        title: ["Receive a company's red packet", "领取企业红包"],
        fields: paid(
          "sendid=242e8abd163d300019b2cae74ba8e8c06e3f0e51ab84d16b3c80decd22a5b672&ver=8&sign=SANDBOX&mch_id=10000098",
        ),
        needs: MERCHANT,
        user: true,
        says: () => ["Opened.", "已领取。"],
      },
    ],
  },
  {
    id: "mini",
    title: ["Mini program", "小程序"],
    icon: "mini",
    list: [
      {
        name: "launchMiniProgram",
        title: ["Launch a mini program", "打开小程序"],
        about: [
          "Granted to few accounts; all others use the tag wx-open-launch-weapp. jweixin appends .html to the path.",
          "仅少数账号有权限，其他账号请用 wx-open-launch-weapp 标签。jweixin 会在路径后加 .html。",
        ],
        fields: [
          text("targetAppId", "", { required: true, sandbox: "wxfedcba9876543210" }),
          text("path", "pages/index/index?from=h5"),
          choice("envVersion", ["release", "trial", "develop"]),
        ],
        needs: [
          ["granted", "需授权"],
          [
            "WeChat grants this interface to selected accounts; the others get permission denied.",
            "该接口仅对部分账号开放，其他账号会得到 permission denied。",
          ],
        ],
        user: true,
        says: () => SHOWN,
      },
      {
        name: "miniProgram.getEnv",
        title: ["Inside a mini program?", "是否在小程序中"],
        via: "env",
        says: (res) =>
          res.miniprogram
            ? ["Yes.", "是。"]
            : ["No: this page is not in a mini program's web-view.", "否：当前不在小程序的 web-view 中。"],
      },
      page("navigateTo", ["Open a mini program page", "打开小程序页面"], [text("url", "/pages/index/index", { required: true })]),
      page(
        "redirectTo",
        ["Redirect to a mini program page", "重定向到小程序页面"],
        [text("url", "/pages/index/index", { required: true })],
      ),
      page("switchTab", ["Switch the mini program's tab", "切换小程序标签页"], [text("url", "/pages/index/index", { required: true })]),
      page("reLaunch", ["Close all pages, open one", "关闭所有页面并打开"], [text("url", "/pages/index/index", { required: true })]),
      page("navigateBack", ["Back to the mini program", "返回小程序"], [number("delta", 1, { min: 1, max: 10 })]),
      {
        ...page("postMessage", ["Send a message", "向小程序发送消息"], [json("data", { from: "wx-jssdk" })]),
        about: [
          "Delivered when the page goes back, is closed or shared, not at once.",
          "消息在后退、销毁或分享时才会送达，并非立即。",
        ],
      },
    ],
  },
  {
    id: "tag",
    title: ["Open tags", "开放标签"],
    icon: "tag",
    list: [
      {
        name: "wx-open-launch-weapp",
        title: ["Button to a mini program", "跳转小程序"],
        fields: [
          text("username", "", {
            required: true,
            sandbox: "gh_000000000000",
            hint: ["The original id, gh_…", "小程序原始 ID，gh_ 开头"],
          }),
          text("path", "pages/index/index"),
        ],
        via: "tag",
        needs: SERVICE,
      },
      {
        name: "wx-open-launch-app",
        title: ["Button to an app", "跳转 App"],
        fields: [
          text("appid", "", {
            required: true,
            sandbox: "wx0000000000000000",
            hint: ["Of the Open Platform's mobile app", "开放平台移动应用的 AppID"],
          }),
          text("extinfo", ""),
        ],
        via: "tag",
        needs: SERVICE,
      },
      {
        name: "wx-open-subscribe",
        title: ["Subscribe to notifications", "服务号订阅通知"],
        fields: [
          text("template", "", {
            required: true,
            sandbox: "TenvU22BA1jCp4YHfYEpRuESXYReQyDuhs4vbdWA99I",
            hint: ["Template ids, separated by commas", "模板 ID，多个用逗号分隔"],
          }),
        ],
        via: "tag",
        needs: SERVICE,
      },
      {
        name: "wx-open-audio",
        title: ["Audio player", "音频播放"],
        fields: [
          text("src", "", { required: true, sandbox: "https://demo.example.com/sound.mp3" }),
          text("title", ["A sound", "一段声音"]),
        ],
        via: "tag",
        needs: SERVICE,
      },
    ],
  },
  {
    id: "wecom",
    title: ["WeCom", "企业微信"],
    icon: "team",
    list: [
      {
        name: "agentConfig",
        title: ["The app's own config", "注入应用权限"],
        about: [
          "Signed by this server with the app's ticket when you press the button.",
          "点击时由本服务用应用的 ticket 实时签名。",
        ],
        via: "agent",
        client: "wecom",
        needs: WECOM,
        says: () => ["WeCom accepted the app's signature.", "企业微信认可了应用的签名。"],
      },
      {
        name: "openEnterpriseChat",
        title: ["Open a chat", "打开会话"],
        fields: [
          text("userIds", "", { required: true, sandbox: "zhangsan;lisi", hint: ["Separated by ;", "以 ; 分隔"] }),
          text("groupName", ["A chat", "讨论组"]),
        ],
        client: "wecom",
        needs: WECOM,
        user: true,
        says: () => SHOWN,
      },
      wecom(
        "selectEnterpriseContact",
        ["Choose colleagues", "选择通讯录成员"],
        [
          number("fromDepartmentId", -1),
          choice("mode", ["multi", "single"]),
          flags("type", ["department", "user"], ["user"], { required: true }),
        ],
      ),
      wecom(
        "openUserProfile",
        ["Show a profile", "打开个人信息页"],
        [choice("type", [1, 2]), text("userid", "", { required: true, sandbox: "zhangsan" })],
      ),
      wecom("getContext", ["How was the page opened?", "获取进入页面的入口"], [], { user: false }),
      wecom("selectExternalContact", ["Choose customers", "选择外部联系人"], [choice("filterType", [0, 1])]),
      wecom("getCurExternalContact", ["Current customer", "获取当前外部联系人"], [], { user: false }),
      wecom(
        "sendChatMessage",
        ["Send into this chat", "发送消息到当前会话"],
        [choice("msgtype", ["text"]), json("text", { content: "wx-jssdk" })],
      ),
    ],
  },
];
