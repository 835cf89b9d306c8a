// What a module may write that imports the npm package.

import { agentReady, call, ready, reconfigure, share, WxJssdkError } from "../../../static/client/index.js";
import type { Bilingual, ReadyOptions, WxJssdkError as Failure } from "../../../static/client/index.js";

const OPTIONS: ReadyOptions = { apis: ["chooseImage"], autoReconfigure: true };

export async function page(): Promise<string[]> {
  const wx = await ready(OPTIONS);
  wx.hideAllNonBaseMenuItem();
  await share({ title: "t" });
  await reconfigure();
  await agentReady({ account: "crm" });
  return (await call("chooseImage", { count: 1 })).localIds;
}

export function explain(error: unknown): Bilingual | undefined {
  if (!(error instanceof WxJssdkError)) return undefined;
  const failure: Failure = error;
  return failure.fix;
}

export async function mistakes(): Promise<void> {
  // @ts-expect-error a card has a title
  await share({ desc: "d" });
}
