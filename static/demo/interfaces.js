// Every interface of jweixin 1.6.0, of the open tags and of WeCom, as data for the page.
//
// This file calls nothing. An interface has:
//   name, title        name in wx, and title ([English, Chinese], as all texts)
//   about              one sentence, if the title is not enough
//   fields             parameters (built by interface-parts.js)
//   via                how it is called: "api" (the default), "listen", "menu" (a listener of the share menu),
//                      "invoke" (by wx.invoke, not a function of jweixin), "mini", "env", "raw", "rawOn",
//                      "agent", "tag"
//   needs              requirements besides a signature: [short label, details]
//   client             the only client that has it: "wecom" or "mini"
//   replacedBy         replacement of a deprecated interface
//   signs              path of this server's endpoint that signs its parameters
//   shape              builds nested parameters from the fields
//   user               the user has to act, so the client may take long
//   gives              values of its answer for later calls; fields refer to them by `from`
//   says, armed        summary of its answer; for a listener, what it waits for

import { ACCOUNT } from "./interfaces-account.js";
import { PHONE } from "./interfaces-phone.js";

/** {id, title, icon, list} in the order of the page. */
export const GROUPS = [...PHONE, ...ACCOUNT];

export const INTERFACES = [].concat(...GROUPS.map((group) => group.list));

const WITHOUT_PERMISSION = ["mini", "env", "raw", "rawOn", "tag"];

/** Names for wx.config's jsApiList and for checkJsApi. */
export const API_NAMES = INTERFACES.filter((one) => !WITHOUT_PERMISSION.includes(one.via)).map((one) => one.name);

/** Names for wx.config's openTagList. */
export const TAG_NAMES = INTERFACES.filter((one) => one.via === "tag").map((one) => one.name);

/** Names for agentConfig's jsApiList: WeCom grants them to an app, not to a page. */
export const WECOM_NAMES = INTERFACES.filter((one) => one.client === "wecom" && one.via !== "agent").map((one) => one.name);
