// Follows a subscription with the reference clients: node follow.mjs ws|sse URL TOKEN QUERY. Prints events, and tells of connections.
import { createClient as createStreams } from "graphql-sse";
import { createClient as createSockets } from "graphql-ws";

const [way, url, token, query] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const say = (kind, value) => console.log(JSON.stringify([kind, value]));
const patience = { retryAttempts: 100, retry: () => new Promise((done) => setTimeout(done, 50)) };
const on = { connected: () => say("connected"), closed: (event) => say("closed", event.code) };

const client =
  way === "ws"
    ? createSockets({ url, connectionParams: headers, retryAttempts: 100, retryWait: patience.retry, shouldRetry: () => true, on })
    : createStreams({ url, headers, ...patience, on });

client.subscribe(
  { query },
  {
    next: (result) => say("next", result),
    error: (error) => say("error", String(error?.message ?? JSON.stringify(error))),
    complete: () => say("complete"),
  },
);
