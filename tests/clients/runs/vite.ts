// Vite's dev server with the recipe's configuration, on a free port: node vite.ts CACHE. Prints its address.
import { createServer } from "vite";
import { say } from "./desk.ts";

const server = await createServer({
  configFile: "vite.config.ts",
  cacheDir: process.argv[2],
  logLevel: "warn",
  server: { host: "127.0.0.1", port: 0, watch: null },
});
await server.listen();
const address = server.httpServer!.address() as { port: number };
say({ url: `http://localhost:${address.port}` });
