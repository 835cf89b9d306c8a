// What a page may write, checked by `npm run types`; the lines after @ts-expect-error must not compile.

/// <reference path="../../../static/client/wx-jssdk.d.ts" />
import type { Bilingual, WxJssdkError, WxJssdkErrorCode } from "../../../static/client/wx-jssdk";

export async function page(): Promise<string> {
  const wx = await wxJssdk.ready({ apis: ["chooseImage"], openTags: ["wx-open-launch-weapp"], account: "main", debug: false });
  wx.miniProgram.navigateTo({ url: "/pages/index" });
  wx.miniProgram.getEnv((res) => res.miniprogram && wx.miniProgram.navigateBack());
  wx.hideAllNonBaseMenuItem();
  await wxJssdk.share({ title: "t", desc: "d", link: location.href, imgUrl: "https://example.com/i.png" });
  const { localIds } = await wxJssdk.call("chooseImage", { count: 1 });
  const { errMsg } = await wxJssdk.call("closeWindow", {}, { timeout: 500 });
  await wxJssdk.ready({ timeout: 0, onStep: (event) => console.log(event.step, event.step === "signed" && event.answer.appId) });
  await window.wxJssdk.reconfigure();
  await wxJssdk.agentReady({ apis: ["selectExternalContact"], account: "crm" });
  return localIds.join() + errMsg;
}

export function explain(error: unknown): Bilingual | undefined {
  if (!(error instanceof wxJssdk.WxJssdkError)) return undefined;
  const known: WxJssdkError = error;
  const code: WxJssdkErrorCode = known.code;
  return code === "invalid_signature" ? known.cause : known.fix;
}

/** A page passes on what it has, with exactOptionalPropertyTypes too. */
export async function passOn(account?: string, desc?: string, timeout?: number): Promise<void> {
  await wxJssdk.ready({ account, timeout, apis: undefined, openTags: undefined, onStep: undefined });
  await wxJssdk.agentReady({ account });
  await wxJssdk.share({ title: "t", desc, link: undefined, imgUrl: undefined });
  await wxJssdk.call("closeWindow", undefined, { timeout });
}

export async function mistakes(): Promise<void> {
  // @ts-expect-error an array, not a text
  await wxJssdk.ready({ apis: "chooseImage" });
  // @ts-expect-error no such option
  await wxJssdk.ready({ jsApiList: ["chooseImage"] });
  // @ts-expect-error a card has a title
  await wxJssdk.share({ desc: "d" });
  // @ts-expect-error localIds is of chooseImage
  (await wxJssdk.call("getLocation")).localIds.join();
  // @ts-expect-error there is one script, and it is not ours to replace
  window.wxJssdk = undefined;
}
