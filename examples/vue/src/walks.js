// One share card per route.
// 每个路由各有一张分享卡片。
export const HOME = {
  title: "Three walks · 三条步道",
  desc: "An afternoon each, no car needed. · 各需一个下午，无需开车。",
};

export const WALKS = [
  { id: "lake", title: "Round the lake · 环湖", desc: "9 km, flat. · 9 公里，平路。", latitude: 30.2431, longitude: 120.1503 },
  { id: "tea", title: "Tea hills · 茶山", desc: "7 km, 300 m up. · 7 公里，爬升 300 米。", latitude: 30.2212, longitude: 120.1042 },
  { id: "老城", title: "Old town · 老城", desc: "4 km, many stops. · 4 公里，走走停停。", latitude: 30.2401, longitude: 120.1698 },
];

export const PICTURE = location.origin + "/share.png";
