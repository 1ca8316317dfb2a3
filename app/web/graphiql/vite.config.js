import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // the page works wherever it is mounted
  logLevel: "error",
  worker: { format: "es" },
  build: {
    target: "es2022", // main.jsx awaits at the top level
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 8192, // Monaco is one large editor
  },
});
