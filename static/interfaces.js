// Every interface of jweixin 1.6.0, of the open tags, and of WeCom, as data: what the page shows and calls.
//
// Nothing is called here. An interface has:
//   name, title        its name in wx, and in words ([English, Chinese], as all texts)
//   about              one sentence, where the title leaves a question
//   fields             its parameters (made in interface-parts.js)
//   via                how it is called: "api" (the default), "listen", "menu" (a listener that the share menu rings),
//                      "invoke" (no function of jweixin: over its raw wx.invoke), "mini", "env", "raw", "rawOn", "agent", "tag"
//   needs              what a signature alone does not bring: [short label, what exactly]
//   client             the only client that has it: "wecom" or "mini"
//   replacedBy         it is deprecated in favour of this one
//   signs              the path of our endpoint that makes its signed parameters
//   shape              turns the fields into the parameters, where they are nested
//   user               the user has to act: the client may take its time
//   gives              what later calls can use of its answer; fields name it as `from`
//   says, armed        its answer in a few words; of a listener, what it waits for

import { ACCOUNT } from "./interfaces-account.js";
import { PHONE } from "./interfaces-phone.js";

/** {id, title, icon, list} in the order of the page. */
export const GROUPS = [...PHONE, ...ACCOUNT];

export const INTERFACES = GROUPS.flatMap((group) => group.list);

const WITHOUT_PERMISSION = ["mini", "env", "raw", "rawOn", "tag"];

/** The names for wx.config's jsApiList and for checkJsApi. */
export const API_NAMES = INTERFACES.filter((one) => !WITHOUT_PERMISSION.includes(one.via)).map((one) => one.name);

/** The names for wx.config's openTagList. */
export const TAG_NAMES = INTERFACES.filter((one) => one.via === "tag").map((one) => one.name);

/** The names for agentConfig's jsApiList: what WeCom gives to an app and not to a page. */
export const WECOM_NAMES = INTERFACES.filter((one) => one.client === "wecom" && one.via !== "agent").map((one) => one.name);
