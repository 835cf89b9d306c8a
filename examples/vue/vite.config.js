import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// Where the signing service is. The page asks its own origin, here as in production.
const service = process.env.WX_JSSDK_URL || "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [vue()],
  server: {
    proxy: {
      "/jssdk": service,
      // Sandbox only: the script that plays the phone, and the judge behind it. 仅用于沙箱
      "/static/phone.js": service,
      "/sandbox": service,
    },
  },
});
