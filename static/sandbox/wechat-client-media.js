// Sandbox only: pictures and sounds of the simulated phone. See wechat-client.js.
(function () {
  "use strict";
  var phone = window.sandboxClient;
  if (!phone) return;
  var t = phone.t;
  var plays = phone.plays;
  var ios = phone.forms === "ios";

  // --- pictures ---

  var pictures = {}; // local id -> base64 of a JPEG
  var uploads = {}; // server id -> local id

  function localId(kind, number) {
    return (ios ? "wxLocalResource://" : "weixin://resourceid/") + kind + number;
  }

  plays.chooseImage = function (params, reply) {
    var made = [];
    for (var at = 0; at < Math.min(params.count || 9, 3); at++) made.push(newPicture());
    phone.sheet(
      t("The phone would open the album", "手机会打开相册"),
      made.map(picture),
      t("Choose these", "选择这些"),
      function (chosen) {
        if (!chosen) return reply({ err_msg: "chooseImage:cancel" });
        // Android returns the list as a text, which jweixin parses.
        var ids = phone.forms === "android" ? JSON.stringify(made) : made;
        reply({ err_msg: "chooseImage:ok", localIds: ids, sourceType: "album" });
      },
    );
  };

  plays.imagePreview = function (params, reply) {
    phone.sheet(t("The phone would show the pictures full screen", "手机会全屏显示图片"), (params.urls || []).map(picture));
    reply({ err_msg: "imagePreview:ok" });
  };

  plays.getLocalImgData = function (params, reply) {
    var base64 = pictures[params.localId];
    if (!base64) return reply({ err_msg: "getLocalImgData:fail_invalid localId" });
    // "jgp" is the spelling of iOS.
    reply({ err_msg: "getLocalImgData:ok", localData: ios ? "data:image/jgp;base64," + base64 : base64 });
  };

  function transfer(up, down, known) {
    plays[up] = function (params, reply) {
      if (!known[params.localId]) return reply({ err_msg: up + ":fail_invalid localId" });
      var serverId = "sandbox-media-" + (Object.keys(uploads).length + 1);
      uploads[serverId] = params.localId;
      reply({ err_msg: up + ":ok", serverId: serverId });
    };
    plays[down] = function (params, reply) {
      var id = uploads[params.serverId];
      if (!id || !known[id]) return reply({ err_msg: down + ":fail_invalid serverId" });
      reply({ err_msg: down + ":ok", localId: id });
    };
  }
  transfer("uploadImage", "downloadImage", pictures);

  function picture(id) {
    var image = document.createElement("img");
    image.alt = "";
    image.src = pictures[id] ? "data:image/jpeg;base64," + pictures[id] : id;
    return image;
  }

  function newPicture() {
    var number = Object.keys(pictures).length + 1;
    var canvas = document.createElement("canvas");
    canvas.width = canvas.height = 240;
    var paint = canvas.getContext("2d");
    var hue = (140 + number * 67) % 360;
    var sky = paint.createLinearGradient(0, 0, 0, 240);
    sky.addColorStop(0, "hsl(" + hue + ",65%,72%)");
    sky.addColorStop(1, "hsl(" + (hue + 40) + ",70%,88%)");
    paint.fillStyle = sky;
    paint.fillRect(0, 0, 240, 240);
    paint.fillStyle = "rgba(255,255,255,.85)";
    paint.beginPath();
    paint.arc(60 + ((number * 53) % 130), 72, 26, 0, 7);
    paint.fill();
    [
      [150, 0.55],
      [185, 0.4],
    ].forEach(function (hill, at) {
      paint.fillStyle = "hsl(" + (hue + 15) + ",38%," + hill[1] * 100 + "%)";
      paint.beginPath();
      paint.moveTo(0, 240);
      for (var x = 0; x <= 240; x += 6) paint.lineTo(x, hill[0] + 24 * Math.sin(x / 38 + number + at * 2));
      paint.lineTo(240, 240);
      paint.fill();
    });
    var id = localId("sandbox", number);
    pictures[id] = canvas.toDataURL("image/jpeg", 0.85).split(",")[1];
    return id;
  }

  // --- sounds ---

  var sounds = {}; // local id -> true
  var recording = null; // timer that ends the recording
  var playing = null;
  // Shortened: a real recording ends after a minute, a real sound at its end.
  var LONGEST_RECORDING = 6000;
  var SOUND = 1500;

  function newSound() {
    var id = localId("sandbox-voice", Object.keys(sounds).length + 1);
    sounds[id] = true;
    return id;
  }

  plays.startRecord = function (params, reply) {
    if (recording) return reply({ err_msg: "startRecord:recording" });
    recording = setTimeout(function () {
      recording = null;
      phone.emit("onVoiceRecordEnd", { err_msg: "onVoiceRecordEnd:ok", localId: newSound() });
    }, LONGEST_RECORDING);
    reply({ err_msg: "startRecord:ok" });
  };

  plays.stopRecord = function (params, reply) {
    if (!recording) return reply({ err_msg: "stopRecord:fail_not recording" });
    clearTimeout(recording);
    recording = null;
    reply({ err_msg: "stopRecord:ok", localId: newSound() });
  };

  plays.playVoice = function (params, reply) {
    if (!sounds[params.localId]) return reply({ err_msg: "playVoice:fail_invalid localId" });
    clearTimeout(playing);
    playing = setTimeout(function () {
      phone.emit("onVoicePlayEnd", { err_msg: "onVoicePlayEnd:ok", localId: params.localId });
    }, SOUND);
    reply({ err_msg: "playVoice:ok" });
  };

  ["pauseVoice", "stopVoice"].forEach(function (name) {
    plays[name] = function (params, reply) {
      if (!sounds[params.localId]) return reply({ err_msg: name + ":fail_invalid localId" });
      clearTimeout(playing);
      reply({ err_msg: name + ":ok" });
    };
  });

  plays.translateVoice = function (params, reply) {
    if (!sounds[params.localId]) return reply({ err_msg: "translateVoice:fail_invalid localId" });
    reply({ err_msg: "translateVoice:ok", translateResult: t("This is what you would have said.", "这里会是你所说的话。") });
  };

  transfer("uploadVoice", "downloadVoice", sounds);
  phone.events.onVoiceRecordEnd = phone.events.onVoicePlayEnd = true;
})();
