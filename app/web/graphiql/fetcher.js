import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { createClient } from "graphql-ws";

const url = new URL("/graphql", location.href);
const socketUrl = new URL(url);
socketUrl.protocol = url.protocol.replace("http", "ws");

/**
 * Queries and mutations over HTTP, subscriptions over graphql-transport-ws at the same address. What stands in the headers editor goes with both:
 * as headers, or as the payload of connection_init. Each subscription has a socket of its own, so that a changed token counts at once, and does
 * not retry: whoever looks at the page should see that the server refused or went away. GraphiQL asks for the schema before its headers editor is
 * there, so that one query goes with the session's headers.
 */
export const makeFetcher = (session) => (params, options) => {
  const signedIn = params.operationName === "IntrospectionQuery" ? JSON.parse(session.headers ?? "{}") : {};
  const headers = { ...signedIn, ...options?.headers };
  const wsClient = createClient({ url: socketUrl.href, connectionParams: headers, retryAttempts: 0 });
  return createGraphiQLFetcher({ url: url.href, wsClient, enableIncrementalDelivery: false })(params, { ...options, headers });
};
