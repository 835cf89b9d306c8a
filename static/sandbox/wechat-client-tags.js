// Sandbox only: the open tags, which the real client renders itself. See wechat-client.js.
(function () {
  "use strict";
  var phone = window.sandboxClient;
  if (!phone || !window.customElements) return;
  var t = phone.t;
  if (!phone.tags) return;

  var shown = []; // the page's tags

  phone.onTagsChanged(function () {
    shown.forEach(function (tag) {
      tag.render();
    });
  });

  /**
   * Defines a tag as a button that asks as the phone would, then fires the tag's event. The button is there, and
   * the tag ready, while config's openTagList permits the tag at the page's address.
   */
  function define(name, label, title, agreed) {
    class OpenTag extends HTMLElement {
      connectedCallback() {
        shown.push(this);
        this.render();
      }

      disconnectedCallback() {
        shown.splice(shown.indexOf(this), 1);
      }

      render() {
        if (!phone.mayRender(name)) {
          if (this.face) this.face.remove();
          this.face = null;
        } else if (!this.face) this.show();
      }

      show() {
        var tag = this;
        var face = Object.assign(document.createElement("button"), {
          type: "button",
          className: "btn",
          textContent: label,
        });
        face.addEventListener("click", function () {
          phone.sheet(title, [], t("Allow", "允许"), function (allowed) {
            var detail = allowed ? agreed(tag) : { errMsg: name + ":cancel" };
            tag.dispatchEvent(new CustomEvent(allowed ? detail.event : "error", { detail: detail.detail || detail }));
          });
        });
        tag.append(face);
        tag.face = face;
        setTimeout(function () {
          if (tag.face === face) tag.dispatchEvent(new CustomEvent("ready", { detail: {} }));
        }, 60);
      }
    }
    window.customElements.define(name, OpenTag);
  }

  define(
    "wx-open-launch-weapp",
    t("To the mini program", "打开小程序"),
    t("The phone would open the mini program", "手机会打开小程序"),
    function () {
      return { event: "launch", detail: {} };
    },
  );
  define(
    "wx-open-launch-app",
    t("To the app", "打开 App"),
    t("The phone would open the app", "手机会打开 App"),
    function (tag) {
      return { event: "launch", detail: { appId: tag.getAttribute("appid") } };
    },
  );
  define(
    "wx-open-subscribe",
    t("Subscribe", "订阅通知"),
    t("The phone would ask for your consent", "手机会弹出订阅授权"),
    function (tag) {
      var details = {};
      (tag.getAttribute("template") || "").split(",").forEach(function (id) {
        details[id] = JSON.stringify({ status: "accept" });
      });
      return { event: "success", detail: { subscribeDetails: JSON.stringify(details) } };
    },
  );
  define("wx-open-audio", t("Play", "播放"), t("The phone would play the sound", "手机会播放音频"), function () {
    return { event: "play", detail: { currentTime: 0 } };
  });
})();
