// graphql-sse 2.6: subscriptions as server-sent events that resume by cursor, each on a connection of its own.
import { createClient, NetworkError, type RequestParams } from "graphql-sse";
import { resuming, type Resumable, type Sink, type Subscribe } from "./resume.ts";

/**
 * Return a `subscribe` over server-sent events.
 *
 * Leave `singleConnection` off: the server offers distinct connections only and answers 405 to the other mode.
 * A browser opens at most six connections to one host over HTTP/1.1, so many streams need HTTP/2 or a WebSocket.
 */
export function createStreams(url: string, token: () => string | Promise<string>): Subscribe<RequestParams, any> {
  const client = createClient({
    url,
    headers: async () => ({ Authorization: `Bearer ${await token()}` }),
    retryAttempts: 0, // the retry of graphql-sse itself would start again from the first variables
  });
  const subscribe: Subscribe<RequestParams & Resumable, any> = (request, sink) =>
    client.subscribe(request, expiring(sink));
  return resuming(subscribe, isFinal);
}

/** Turn the end of a stream whose token has expired into an error, so that the next one signs in with a fresh token. */
function expiring(sink: Sink<any>): Sink<any> {
  let expired = false;
  return {
    ...sink,
    next(result) {
      expired = result.errors?.[0]?.extensions?.code === "UNAUTHENTICATED";
      if (!expired) sink.next(result);
    },
    complete: () => (expired ? sink.error(new TokenExpired()) : sink.complete()),
  };
}

class TokenExpired extends Error {}

/** Return whether another try can't help: an answer of 4xx, except 429, refuses the request. */
function isFinal(error: unknown): boolean {
  if (error instanceof TokenExpired) return false;
  if (!(error instanceof NetworkError)) return true;
  const status = error.response?.status ?? 0;
  return status >= 400 && status < 500 && status !== 429;
}
