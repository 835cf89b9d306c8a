// Runs only in browsers without modules (nomodule), in which no other script of the page runs.
(function () {
  "use strict";
  document.getElementById("too-old").hidden = false;
  var state = document.getElementById("state");
  if (state) state.hidden = true;
})();
