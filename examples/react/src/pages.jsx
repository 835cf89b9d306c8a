import { Link, useParams } from "react-router";
import { WechatPanel } from "./WechatPanel.jsx";
import { useWechat } from "./useWechat.js";
import { HOME, PICTURE, WALKS } from "./walks.js";

const pathOf = (walk) => `/walks/${encodeURIComponent(walk.id)}`;

export function Home() {
  const wechat = useWechat({ ...HOME, imgUrl: PICTURE });
  return (
    <>
      <h1>{HOME.title}</h1>
      <p>{HOME.desc}</p>
      <nav>
        <ul>
          {WALKS.map((walk) => (
            <li key={walk.id}>
              <Link to={pathOf(walk)}>{walk.title}</Link>
            </li>
          ))}
        </ul>
      </nav>
      <WechatPanel wechat={wechat} place={WALKS[0]} />
    </>
  );
}

export function Walk() {
  const params = useParams();
  const walk = WALKS.find(({ id }) => id === params.id) || WALKS[0];
  const next = WALKS[(WALKS.indexOf(walk) + 1) % WALKS.length];
  const wechat = useWechat({ title: walk.title, desc: walk.desc, imgUrl: PICTURE });
  return (
    <>
      <h1>{walk.title}</h1>
      <p>{walk.desc}</p>
      <p>
        <Link to="/">All · 全部</Link> ·{" "}
        <Link id="next" to={pathOf(next)}>
          {next.title}
        </Link>
      </p>
      <WechatPanel wechat={wechat} place={walk} />
    </>
  );
}
