// WeChat in a Vue app: copy this file. One call in a page's setup sets its share card and returns the result.
// 在 Vue 中使用微信 JS-SDK：复制本文件即可。在页面的 setup 里调用一次，就会设置该页的分享卡片，并得知结果。
//
//   const wechat = useWechat(() => ({ title: walk.value.title, desc: walk.value.desc, imgUrl }));
//   const { latitude } = await wechat.call("getLocation", { type: "gcj02" });
//
// The package wx-jssdk-client is this repository's static/client. 即本仓库的 static/client

import { onActivated, onDeactivated, readonly, shallowReactive, shallowRef, toValue, watchEffect } from "vue";
import { useRoute } from "vue-router";
import { call, ready, share as setCard } from "wx-jssdk-client";

export const inWeCom = /wxwork\//i.test(navigator.userAgent);

const OPTIONS = {
  apis: ["updateAppMessageShareData", "updateTimelineShareData", "getLocation", "openLocation", "getNetworkType"],
  // A site for both clients uses one account for each. 同时用于微信与企业微信的站点，两边各用一个账号
  account: inWeCom ? "demo-work" : "demo",
  // History routing: all clients except iOS check the URL of the current route. 除 iOS 外，切换路由后须按新地址重新签名
  autoReconfigure: true,
};

/** status: "loading", "ok", "outside" (not in WeChat) or "error"; then `error` has code, cause and fix in both languages. */
const state = shallowReactive({ status: "loading", error: null, card: null });
let started = false;
let latest = 0;

async function share(card) {
  const mine = ++latest;
  let outcome;
  try {
    await begin();
    await setCard(card); // waits for the signature of this route
    outcome = { status: "ok", error: null, card };
  } catch (error) {
    outcome = { status: error.code === "not_in_wechat" ? "outside" : "error", error, card };
  }
  if (mine === latest) Object.assign(state, outcome); // otherwise the user is on another route now
}

async function begin() {
  if (started) return;
  started = true;
  await ready(OPTIONS);
}

export function useWechat(card) {
  const route = useRoute();
  const again = () => share(toValue(card));
  // A page under KeepAlive lives on after it was left.
  const shown = shallowRef(true);
  onActivated(() => (shown.value = true));
  onDeactivated(() => (shown.value = false));
  // After the render: the page being left no longer sets the card.
  watchEffect(() => shown.value && route.fullPath && again(), { flush: "post" });
  return { state: readonly(state), retry: again, call };
}
