// The interfaces one can try. Each call's answer is shown as it came.

import { adviseCall, t } from "./explain.js";

/** What the page asks wx.config for. getLocalImgData also lets jweixin mend iOS images by itself. */
export const NEEDED = [
  "updateAppMessageShareData",
  "updateTimelineShareData",
  "chooseImage",
  "getLocalImgData",
  "previewImage",
  "getLocation",
  "openLocation",
  "scanQRCode",
  "getNetworkType",
];

/** Interfaces that need what another one brought. */
const AFTER = { previewImage: "chooseImage", openLocation: "getLocation" };

let images = [];
let place = null;

/** Enables the buttons: only now would the client answer. */
export function wakeCards() {
  for (const button of document.querySelectorAll("[data-api]")) {
    const name = button.dataset.api;
    button.addEventListener("click", () => call(name));
    if (AFTER[name]) button.title = t(`After ${AFTER[name]}`, `请先调用 ${AFTER[name]}`);
    else wake(name);
  }
}

function wake(name) {
  const button = buttonOf(name);
  button.disabled = false;
  button.removeAttribute("aria-describedby");
  button.removeAttribute("title");
}

function buttonOf(name) {
  return document.querySelector(`[data-api="${name}"]`);
}

function call(name) {
  const card = buttonOf(name).closest(".card");
  show(card, "pending", t("Waiting for the client…", "等待客户端回应…"), "");
  const answered = (outcome) => (res) => {
    const note = outcome === "ok" ? noteOf(name, res) : adviseCall(res.errMsg || "");
    show(card, outcome, note, res);
    if (outcome === "ok" && AFTERWARDS[name]) AFTERWARDS[name](res, card);
  };
  try {
    window.wx[name](
      Object.assign(ARGUMENTS[name](), { success: answered("ok"), fail: answered("fail"), cancel: answered("cancel") }),
    );
  } catch (error) {
    show(card, "fail", t("The call itself threw.", "调用时抛出异常。"), { errMsg: String(error) });
  }
}

const LABELS = {
  ok: () => t("ok", "成功"),
  fail: () => t("failed", "失败"),
  cancel: () => t("cancelled", "已取消"),
  pending: () => t("waiting", "等待中"),
};

function show(card, outcome, note, res) {
  const box = card.querySelector(".result");
  box.dataset.result = outcome;
  box.hidden = false;
  box.querySelector(".badge").textContent = LABELS[outcome]();
  box.querySelector(".note").textContent = note;
  const json = box.querySelector("pre");
  json.hidden = res === "";
  json.textContent = res === "" ? "" : JSON.stringify(res, shorten, 2);
}

/** An image's base64 would bury the page. */
function shorten(key, value) {
  return typeof value === "string" && value.length > 300 ? `${value.slice(0, 48)}… (${value.length})` : value;
}

function share() {
  return {
    title: document.getElementById("share-title").textContent,
    desc: document.getElementById("share-desc").textContent,
    // Must lie on a JS safe domain, else WeChat keeps the plain link without a word.
    link: location.href.split("#")[0],
    imgUrl: new URL("static/share.png", location.href).href,
  };
}

const ARGUMENTS = {
  updateAppMessageShareData: share,
  updateTimelineShareData: () => {
    const { title, link, imgUrl } = share();
    return { title, link, imgUrl };
  },
  chooseImage: () => ({ count: 3, sizeType: ["compressed"], sourceType: ["album", "camera"] }),
  previewImage: () => ({ current: images[0], urls: images.slice() }),
  // The default is wgs84; the map of openLocation wants gcj02.
  getLocation: () => ({ type: "gcj02" }),
  openLocation: () => ({
    latitude: place.latitude,
    longitude: place.longitude,
    name: t("You are here", "你在这里"),
    address: `${place.latitude}, ${place.longitude}`,
    scale: 16,
  }),
  // With needResult 0, the default, the text never comes back to the page.
  scanQRCode: () => ({ needResult: 1, scanType: ["qrCode", "barCode"] }),
  getNetworkType: () => ({}),
  checkJsApi: () => ({ jsApiList: NEEDED.slice() }),
};

function noteOf(name, res) {
  switch (name) {
    case "updateAppMessageShareData":
    case "updateTimelineShareData":
      return t("Set. Now share with ··· at the top right.", "已设置，请点右上角 ··· 分享。");
    case "chooseImage":
      return t(`${res.localIds.length} chosen`, `已选择 ${res.localIds.length} 张`);
    case "getLocation":
      return `${Number(res.latitude)}, ${Number(res.longitude)}`;
    case "scanQRCode":
      return res.resultStr;
    case "getNetworkType":
      return res.networkType;
    case "checkJsApi": {
      const able = NEEDED.filter((one) => res.checkResult[one]).length;
      return t(`${able} of ${NEEDED.length} supported`, `支持 ${able} / ${NEEDED.length}`);
    }
    default:
      return t("Shown by the client.", "已由客户端展示。");
  }
}

const AFTERWARDS = {
  chooseImage: (res) => {
    images = res.localIds.slice();
    wake("previewImage");
    showImages(images);
  },
  getLocation: (res) => {
    // Some Android clients give text; openLocation wants numbers.
    place = { latitude: Number(res.latitude), longitude: Number(res.longitude) };
    wake("openLocation");
  },
};

function showImages(localIds) {
  const box = document.getElementById("shots");
  box.replaceChildren(
    ...localIds.map((localId, at) => {
      const image = document.createElement("img");
      image.alt = t(`Image ${at + 1}`, `图片 ${at + 1}`);
      window.wx.getLocalImgData({
        localId,
        success: (res) => (image.src = dataUrl(res.localData)),
        // Android shows a local id as it is; iOS (WKWebView) does not.
        fail: () => (image.src = localId),
      });
      return image;
    }),
  );
  box.hidden = false;
}

/** iOS gives `data:image/jgp;base64,…` (sic), Android the bare base64: the head is made anew from the first bytes. */
function dataUrl(localData) {
  const base64 = localData.replace(/^data:[^,]*,/, "").replace(/\s/g, "");
  const kind = base64.startsWith("iVBOR")
    ? "png"
    : base64.startsWith("R0lG")
      ? "gif"
      : base64.startsWith("UklG")
        ? "webp"
        : "jpeg";
  return `data:image/${kind};base64,${base64}`;
}
