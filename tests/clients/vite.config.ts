// The dev server. Its proxy makes the API part of the page's own origin, so the server needs no setting for it.
import { defineConfig } from "vite";
import relay from "vite-plugin-relay";

export default defineConfig({
  root: "recipes/relay",
  plugins: [relay],
  server: {
    proxy: {
      // `changeOrigin` stays off: the server compares the Origin of a WebSocket with the Host header.
      "/graphql": { target: process.env["TRANSFERS_URL"] ?? "http://127.0.0.1:8000", ws: true, changeOrigin: false },
    },
  },
});
