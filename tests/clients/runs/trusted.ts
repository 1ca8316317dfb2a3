// Asks for a trusted document over a WebSocket: node trusted.ts URL TOKEN SHA256.
import { createSockets, trusted } from "../recipes/sockets.ts";
import { rest, say, token, url } from "./desk.ts";

const sockets = createSockets(url.replace(/^http/, "ws"), () => token);
sockets.subscribe(trusted(rest[0]!, { first: 1 }), {
  next: (result) => say(result),
  error: (error: any) => say({ error: error.code ?? error }),
  complete: () => void sockets.dispose(),
});
