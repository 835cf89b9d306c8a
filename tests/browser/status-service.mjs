// The service in sandbox mode as the status page's tests need it: its admin address, the key of this run, and WeChat's faults.

import { spawn } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");

/** WeChat's paths that tests break. */
export const APIS = { token: "/cgi-bin/stable_token", ticket: "/cgi-bin/ticket/getticket" };

export async function startStatus({ listen = "127.0.0.1:0" } = {}) {
  const binary = process.env.JSSDK_TEST_BIN || join(root, "target", "debug", "wx-jssdk");
  const args = ["serve", "--sandbox", "--listen", "127.0.0.1:0", "--admin-listen", listen, "--sandbox-listen", "127.0.0.1:0"];
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  const gone = new Promise((resolve) => child.once("close", resolve));
  const stop = async () => {
    child.kill("SIGTERM");
    const mercy = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await gone;
    clearTimeout(mercy);
  };
  const said = await announced(child).catch(async (error) => {
    await stop();
    throw error;
  });
  const post = async (path, body) => {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`${said.sandbox}/sandbox/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  };
  return {
    ...said,
    stop,
    advance: (seconds) => post("advance", { seconds }),
    fault: (endpoint, errcode) => post("faults", { endpoint, fault: "errcode", errcode, times: 1_000_000 }),
    clearFaults: () => fetch(`${said.sandbox}/sandbox/faults`, { method: "DELETE" }),
  };
}

/** Reads the lines `admin     http://…`, `sandbox   http://…` and `api key   wxk_…` that the service prints. */
function announced(child) {
  let text = "";
  let patience;
  const addresses = new Promise((resolve, reject) => {
    const hear = (chunk) => {
      text += chunk;
      const find = (name) => (text.match(new RegExp(`^${name}\\s+(\\S+)$`, "m")) || [])[1];
      const [address, sandbox, key] = [find("admin"), find("sandbox"), find("api key")];
      if (address && sandbox && key) resolve({ admin: address, sandbox, key });
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`the service ended with ${code}:\n${text}`)));
    patience = setTimeout(() => reject(new Error(`the service did not name its addresses:\n${text}`)), 20_000);
  });
  return addresses.finally(() => clearTimeout(patience));
}
