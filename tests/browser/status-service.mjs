// The service in sandbox mode as the status page's tests need it: its admin address, the key of this run, and WeChat's faults.

import { spawnService } from "./harness.mjs";

/** WeChat's paths that tests break. */
export const APIS = { token: "/cgi-bin/stable_token", ticket: "/cgi-bin/ticket/getticket" };

export async function startStatus(options) {
  const service = await spawnService(options);
  const post = async (path, body) => {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`${service.sandbox}/sandbox/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  };
  return {
    ...service,
    advance: (seconds) => post("advance", { seconds }),
    fault: (endpoint, errcode) => post("faults", { endpoint, fault: "errcode", errcode, times: 1_000_000 }),
    clearFaults: () => fetch(`${service.sandbox}/sandbox/faults`, { method: "DELETE" }),
  };
}
