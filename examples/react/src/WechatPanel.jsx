import { useState } from "react";
import { agentReady } from "wx-jssdk-client";
import { inWeCom } from "./useWechat.js";

const TITLES = {
  loading: "Checking… · 检查中…",
  ok: "config:ok",
  outside: "Not in WeChat: open this page there · 请在微信中打开本页",
  error: "WeChat cannot be used here yet · 暂时无法使用微信接口",
};

export function WechatPanel({ wechat: { state, call, retry }, place }) {
  return (
    <section id="wechat" className="wechat" data-status={state.status} aria-labelledby="wechat-title">
      <h2 id="wechat-title" role="status">
        {TITLES[state.status]}
      </h2>
      {state.status === "error" && <Failure error={state.error} retry={retry} />}
      {state.card && <Card card={state.card} />}
      {state.status === "ok" && <Calls call={call} place={place} />}
    </section>
  );
}

function Failure({ error, retry }) {
  return (
    <>
      <p>
        <code id="wechat-code">{error.code}</code> {error.errMsg}
      </p>
      {error.address && (
        <p>
          <code>{error.address}</code>
        </p>
      )}
      <p lang="zh">
        {error.cause.zh} {error.fix.zh}
      </p>
      <p lang="en">
        {error.cause.en} {error.fix.en}
      </p>
      <button id="retry" type="button" onClick={retry}>
        Try again · 重试
      </button>
    </>
  );
}

function Card({ card }) {
  return (
    <>
      <p>The share card of this route · 本页的分享卡片</p>
      <div id="card" className="card">
        <strong>{card.title}</strong>
        <span>{card.desc}</span>
        <img src={card.imgUrl} alt="" width="48" height="48" />
      </div>
    </>
  );
}

function Calls({ call, place }) {
  const [result, setResult] = useState("");
  const show = (work) => async () => {
    try {
      setResult(JSON.stringify(await work()));
    } catch (error) {
      setResult(`${error.code}: ${error.cause.en} ${error.cause.zh}`);
    }
  };
  const { latitude, longitude, title } = place;
  const whereAmI = show(() => call("getLocation", { type: "gcj02" }));
  const map = show(() => call("openLocation", { latitude, longitude, name: title, scale: 14 }));
  const network = show(() => call("getNetworkType"));
  // WeCom's own interfaces need agentConfig, signed for the current URL. 企业微信专有接口须先 agentConfig
  const colleague = show(async () => {
    await agentReady({ apis: ["selectEnterpriseContact"] });
    return call("selectEnterpriseContact", { fromDepartmentId: -1, mode: "single", type: ["user"] });
  });
  return (
    <>
      <p>
        <button type="button" data-call="getLocation" onClick={whereAmI}>
          Where am I? · 我的位置
        </button>
        <button type="button" data-call="openLocation" onClick={map}>
          Map · 地图
        </button>
        <button type="button" data-call="getNetworkType" onClick={network}>
          Network · 网络
        </button>
        {inWeCom && (
          <button type="button" data-call="selectEnterpriseContact" onClick={colleague}>
            A colleague · 选择同事
          </button>
        )}
      </p>
      <output id="result">{result}</output>
    </>
  );
}
