// WeChat in a React app: copy this file. One call in a page's component sets its share card and returns the result.
// 在 React 中使用微信 JS-SDK：复制本文件即可。在页面组件里调用一次，就会设置该页的分享卡片，并得知结果。
//
//   const wechat = useWechat({ title: walk.title, desc: walk.desc, imgUrl });
//   const { latitude } = await wechat.call("getLocation", { type: "gcj02" });
//
// The package wx-jssdk-client is this repository's static/client. 即本仓库的 static/client

import { useEffect, useSyncExternalStore } from "react";
import { useLocation } from "react-router";
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
let state = { status: "loading", error: null, card: null };
const hearers = new Set();
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
  if (mine !== latest) return; // the user is on another route now
  state = outcome;
  for (const hear of hearers) hear();
}

async function begin() {
  if (started) return;
  started = true;
  await ready(OPTIONS);
}

function subscribe(hear) {
  hearers.add(hear);
  return () => hearers.delete(hear);
}

export function useWechat({ title, desc, imgUrl }) {
  const { pathname, search } = useLocation();
  const again = () => share({ title, desc, imgUrl });
  useEffect(() => void again(), [pathname, search, title, desc, imgUrl]);
  return {
    state: useSyncExternalStore(subscribe, () => state),
    retry: again,
    call,
  };
}
