// Relay 21: persisted documents over HTTP, and subscriptions over a WebSocket that resume by cursor.
import { Environment, Network, Observable, RecordSource, Store, type RequestParameters, type Variables } from "relay-runtime";
import { createSockets, trusted } from "../sockets.ts";

/** Return an environment. `url` is absolute or the path of a proxy on the page's own server. */
export function createEnvironment(url: string, token: () => string): Environment {
  const address = new URL(url, globalThis.location?.href);
  const sockets = createSockets(address.href.replace(/^http/, "ws"), token);

  async function ask(request: RequestParameters, variables: Variables) {
    // The compiler has put the text away: `id` is its SHA-256. The server takes `doc_id`, too.
    const asked = request.id ? { documentId: request.id } : { query: request.text };
    const answer = await fetch(address, {
      method: "POST",
      headers: { authorization: `Bearer ${token()}`, "content-type": "application/json" },
      body: JSON.stringify({ ...asked, variables }),
    });
    return answer.json();
  }

  function subscribe(request: RequestParameters, variables: Variables) {
    return Observable.create<any>((sink) =>
      sockets.subscribe(request.id ? trusted(request.id, variables) : { query: request.text ?? "", variables }, sink as never),
    );
  }

  return new Environment({ network: Network.create(ask, subscribe), store: new Store(new RecordSource()) });
}
