// graphql-ws 6: subscriptions over WebSocket that resume by cursor.
import { createClient, type Client, type SubscribePayload } from "graphql-ws";
import { resuming, type Resumable } from "./resume.ts";

// Before Node 22 there is no WebSocket in Node: install `ws` and pass `webSocketImpl: WebSocket` from it.

/** Codes that close a socket for good: the client made a mistake (4400 to 4429) or its token is refused (4403). */
const FINAL = [4400, 4401, 4403, 4406, 4408, 4409, 4429];

/**
 * Return a graphql-ws client whose `subscribe` resumes by cursor.
 *
 * `token` is called for each connection, so that a retry signs in with a fresh token.
 * The retry of graphql-ws itself is off: it would start again from the first variables.
 */
export function createSockets(url: string, token: () => string | Promise<string>): Client {
  const client = createClient({
    url,
    connectionParams: async () => ({ Authorization: `Bearer ${await token()}` }),
    retryAttempts: 0,
  });
  const subscribe = resuming<SubscribePayload & Resumable, any>(
    (request, sink) => client.subscribe(request, sink),
    isFinal,
  );
  return { ...client, subscribe };
}

/** Return whether another try can't help: GraphQL errors are an array, a closed socket is a CloseEvent. */
function isFinal(error: unknown): boolean {
  if (Array.isArray(error)) return true;
  const { code = 0, reason } = error as { code?: number; reason?: string };
  return FINAL.includes(code) && reason !== "Token expired"; // the next connection signs in with a fresh token
}

/**
 * Return the request for a trusted document, whose text the server knows by its SHA-256.
 *
 * graphql-ws wants `query` to be a string. An empty one counts as absent when a hash is there.
 */
export function trusted(sha256: string, variables: Record<string, unknown>): SubscribePayload {
  return { query: "", variables, extensions: { persistedQuery: { version: 1, sha256Hash: sha256 } } };
}
