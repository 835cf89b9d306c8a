// Functions of the phone. They need only an accepted signature, of any account, but for share cards. Read
// interfaces.js first.

import { SHARING } from "./interface-needs.js";
import {
  SENT,
  SHARED,
  SHOWN,
  card,
  choice,
  flags,
  json,
  list,
  menuCard,
  menuList,
  number,
  text,
  tips,
  voice,
} from "./interface-parts.js";

export const PHONE = [
  {
    id: "base",
    title: ["Base", "基础"],
    icon: "list",
    list: [
      {
        name: "checkJsApi",
        title: ["What this client can do", "客户端支持情况"],
        about: [
          "The page has called it already: the dot before each name shows the result.",
          "本页已自动查询一次：各接口名称前的圆点即为结果。",
        ],
        fields: [list("jsApiList", "@apis", { required: true })],
        says: (res) => {
          const known = Object.values(res.checkResult || {}).filter((able) => able === true || able === "true").length;
          return [`${known} supported`, `客户端支持 ${known} 个`];
        },
      },
      {
        name: "invoke",
        title: ["Raw bridge call", "直接调用 Bridge"],
        about: [
          "wx.invoke takes the bridge's name and returns the raw answer.",
          "wx.invoke：使用 Bridge 的原始名称，返回不经处理。",
        ],
        fields: [text("name", "getNetworkType", { required: true }), json("args", {})],
        via: "raw",
      },
      {
        name: "on",
        title: ["Raw bridge event", "直接监听 Bridge 事件"],
        fields: [text("event", "onVoicePlayEnd", { required: true })],
        via: "rawOn",
        armed: ["Listening: it answers when the event occurs.", "已监听：事件发生时才有回应。"],
      },
    ],
  },
  {
    id: "share",
    title: ["Share", "分享"],
    icon: "share",
    list: [
      {
        name: "updateAppMessageShareData",
        title: ["Card for friends and QQ", "分享给朋友与 QQ"],
        fields: card(),
        needs: SHARING,
        says: () => SHARED,
      },
      {
        name: "updateTimelineShareData",
        title: ["Card for Moments and QZone", "分享到朋友圈与 QQ 空间"],
        fields: card().filter((field) => field.name !== "desc"),
        needs: SHARING,
        says: () => SHARED,
      },
      menuCard("onMenuShareAppMessage", ["Listen: share to a friend", "监听分享给朋友"], "updateAppMessageShareData"),
      menuCard(
        "onMenuShareTimeline",
        ["Listen: share to Moments", "监听分享到朋友圈"],
        "updateTimelineShareData",
        card().filter((field) => field.name !== "desc"),
      ),
      menuCard("onMenuShareQQ", ["Listen: share to QQ", "监听分享到 QQ"], "updateAppMessageShareData"),
      menuCard("onMenuShareQZone", ["Listen: share to QZone", "监听分享到 QQ 空间"], "updateTimelineShareData"),
      menuCard("onMenuShareWeibo", ["Listen: share to Tencent Weibo", "监听分享到腾讯微博"]),
    ],
  },
  {
    id: "image",
    title: ["Image", "图像"],
    icon: "image",
    list: [
      {
        name: "chooseImage",
        title: ["Choose images", "拍照或从相册选图"],
        about: ["Shown here only; nothing is uploaded.", "仅在本页显示，不会上传。"],
        fields: [
          number("count", 3, { min: 1, max: 9 }),
          flags("sizeType", ["original", "compressed"], ["compressed"], { required: true }),
          flags("sourceType", ["album", "camera"], ["album", "camera"], { required: true }),
        ],
        user: true,
        gives: (res) => ({ image: res.localIds[0], images: res.localIds, shown: res.localIds }),
        says: (res) => [`${res.localIds.length} chosen`, `已选择 ${res.localIds.length} 张`],
      },
      {
        name: "previewImage",
        title: ["Preview images", "预览图片"],
        fields: [
          text("current", "@share.png", { required: true, from: "image" }),
          list("urls", ["@share.png"], { required: true, from: "images" }),
        ],
        user: true,
        says: () => SHOWN,
      },
      {
        name: "getLocalImgData",
        title: ["Read an image's data", "获取本地图片数据"],
        fields: [text("localId", "", { required: true, from: "image", source: "chooseImage" })],
        says: (res) => [
          `${(res.localData || "").length} characters of base64`,
          `base64 共 ${(res.localData || "").length} 个字符`,
        ],
      },
      {
        name: "uploadImage",
        title: ["Upload to WeChat", "上传图片到微信"],
        about: [
          "WeChat stores it for three days; your server downloads it by serverId.",
          "保存在微信服务器三天，你的服务端可凭 serverId 下载。",
        ],
        fields: [text("localId", "", { required: true, from: "image", source: "chooseImage" }), tips()],
        user: true,
        gives: (res) => ({ imageServer: res.serverId }),
        says: (res) => `serverId ${res.serverId}`,
      },
      {
        name: "downloadImage",
        title: ["Download from WeChat", "从微信下载图片"],
        fields: [text("serverId", "", { required: true, from: "imageServer", source: "uploadImage" }), tips()],
        user: true,
        gives: (res) => ({ image: res.localId, shown: [res.localId] }),
        says: (res) => `localId ${res.localId}`,
      },
    ],
  },
  {
    id: "audio",
    title: ["Audio", "音频"],
    icon: "mic",
    list: [
      {
        name: "startRecord",
        title: ["Start recording", "开始录音"],
        user: true,
        says: () => ["Recording: stop it with stopRecord.", "录音中，请用 stopRecord 停止。"],
      },
      {
        name: "stopRecord",
        title: ["Stop recording", "停止录音"],
        about: ["After startRecord.", "须先调用 startRecord。"],
        gives: (res) => ({ voice: res.localId }),
        says: (res) => `localId ${res.localId}`,
      },
      {
        name: "onVoiceRecordEnd",
        title: ["Listen: recording ended", "监听录音自动停止"],
        via: "listen",
        armed: ["Listening: it answers when a recording reaches one minute.", "已监听：录音满一分钟未停止时才会回应。"],
        gives: (res) => ({ voice: res.localId }),
        says: (res) => `localId ${res.localId}`,
      },
      voice("playVoice", ["Play", "播放语音"], ["Playing.", "播放中。"]),
      voice("pauseVoice", ["Pause", "暂停播放"], ["Paused.", "已暂停。"]),
      voice("stopVoice", ["Stop playing", "停止播放"], ["Stopped.", "已停止。"]),
      {
        name: "onVoicePlayEnd",
        title: ["Listen: playing ended", "监听播放完毕"],
        via: "listen",
        armed: ["Listening: it answers when playVoice has finished.", "已监听：playVoice 播放完毕时才会回应。"],
        says: (res) => `localId ${res.localId}`,
      },
      voice("uploadVoice", ["Upload to WeChat", "上传语音到微信"], ["Uploaded; kept for three days.", "已上传，保存三天。"], {
        fields: [text("localId", "", { required: true, from: "voice", source: "stopRecord" }), tips()],
        user: true,
        gives: (res) => ({ voiceServer: res.serverId }),
      }),
      {
        name: "downloadVoice",
        title: ["Download from WeChat", "从微信下载语音"],
        fields: [text("serverId", "", { required: true, from: "voiceServer", source: "uploadVoice" }), tips()],
        user: true,
        gives: (res) => ({ voice: res.localId }),
        says: (res) => `localId ${res.localId}`,
      },
      voice("translateVoice", ["Speech to text", "识别语音内容"], "", {
        fields: [text("localId", "", { required: true, from: "voice", source: "stopRecord" }), tips()],
        user: true,
        says: (res) => res.translateResult,
      }),
    ],
  },
  {
    id: "location",
    title: ["Location", "位置"],
    icon: "pin",
    list: [
      {
        name: "getLocation",
        title: ["Where am I?", "获取地理位置"],
        about: [
          "WeChat's map needs gcj02; the default is wgs84.",
          "微信地图使用 gcj02；微信的默认值是 wgs84。",
        ],
        fields: [choice("type", ["gcj02", "wgs84"])],
        user: true,
        // Some Android clients return texts; openLocation needs numbers.
        gives: (res) => ({ latitude: Number(res.latitude), longitude: Number(res.longitude) }),
        says: (res) => `${Number(res.latitude)}, ${Number(res.longitude)}`,
      },
      {
        name: "openLocation",
        title: ["Show on the map", "在地图中查看"],
        fields: [
          number("latitude", 23.099994, { from: "latitude", min: -90, max: 90, required: true }),
          number("longitude", 113.32452, { from: "longitude", min: -180, max: 180, required: true }),
          text("name", ["You are here", "你在这里"]),
          text("address", ""),
          number("scale", 16, { min: 1, max: 28 }),
          text("infoUrl", ""),
        ],
        says: () => SHOWN,
      },
    ],
  },
  {
    id: "network",
    title: ["Network", "网络"],
    icon: "wifi",
    list: [{ name: "getNetworkType", title: ["Network type", "网络类型"], says: (res) => res.networkType }],
  },
  {
    id: "menu",
    title: ["Menu and window", "界面操作"],
    icon: "menu",
    list: [
      { name: "hideOptionMenu", title: ["Hide the ··· menu", "隐藏右上角菜单"], says: () => SENT },
      { name: "showOptionMenu", title: ["Show the ··· menu", "显示右上角菜单"], says: () => SENT },
      { name: "hideMenuItems", title: ["Hide some menu items", "批量隐藏菜单项"], fields: menuList(), says: () => SENT },
      { name: "showMenuItems", title: ["Show some menu items", "批量显示菜单项"], fields: menuList(), says: () => SENT },
      { name: "hideAllNonBaseMenuItem", title: ["Hide all but the basic items", "隐藏所有非基础按钮"], says: () => SENT },
      { name: "showAllNonBaseMenuItem", title: ["Show all items again", "显示所有功能按钮"], says: () => SENT },
      {
        name: "closeWindow",
        title: ["Close this window", "关闭当前窗口"],
        about: ["There is no answer if the client closes the page.", "页面被关闭后，自然收不到回应。"],
        says: () => ["The window is closing.", "窗口已关闭或即将关闭。"],
      },
    ],
  },
  {
    id: "scan",
    title: ["Scan", "扫一扫"],
    icon: "scan",
    list: [
      {
        name: "scanQRCode",
        title: ["Scan a code", "调起扫一扫"],
        about: [
          "With needResult 0, WeChat's default, the page does not get the text.",
          "needResult 为 0（微信的默认值）时，内容不会返回给页面。",
        ],
        fields: [
          choice("needResult", [1, 0]),
          flags("scanType", ["qrCode", "barCode"], ["qrCode", "barCode"], { required: true }),
        ],
        user: true,
        says: (res) => res.resultStr || ["The client handles the result itself.", "结果由客户端自行处理。"],
      },
    ],
  },
];
