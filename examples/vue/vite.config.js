import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// The signing service. The page calls its own origin, here and in production.
const service = process.env.WX_JSSDK_URL || "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [vue()],
  server: {
    proxy: {
      "/jssdk": service,
      // Sandbox only: the script that simulates the phone, and its signature check. 仅用于沙箱
      "/static/phone.js": service,
      "/sandbox": service,
    },
  },
});
