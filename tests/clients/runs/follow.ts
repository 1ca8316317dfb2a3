// Follows all transfers and prints each event: node follow.ts URL TOKEN sockets|streams AFTER [FRESH].
// After the first connection it signs in with the token FRESH, and says so.
import { createSockets } from "../recipes/sockets.ts";
import { createStreams } from "../recipes/streams.ts";
import { rest, say, token, url } from "./desk.ts";

const [way, after, fresh = token] = rest;
let connections = 0;
const subscribe =
  way === "sockets" ? createSockets(url.replace(/^http/, "ws"), signIn).subscribe : createStreams(url, signIn);

function signIn() {
  if (connections++ === 0) return token;
  if (fresh !== token) say({ signedIn: "again" });
  return fresh;
}

const query = `
  subscription Events($after: String) {
    transferEvents(after: $after) { cursor kind status transfer { id status } }
  }
`;

subscribe(
  { query, variables: { after } },
  {
    next: ({ data, errors }: any) => say(data?.transferEvents ?? { errors }),
    error: (error: any) => say({ error: error.code ?? error.response?.status ?? error }),
    complete: () => say({ complete: true }),
  },
);
