import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { parse } from "graphql";
import { createClient } from "graphql-ws";

import { withReadyIds } from "./ready-ids.js";

const url = new URL("/graphql", location.href);
const socketUrl = new URL(url);
socketUrl.protocol = url.protocol.replace("http", "ws");

const SIGNED_OUT = { errors: [{ message: "Sign in first: press the key symbol." }] };

/**
 * Return a fetcher that sends queries and mutations over HTTP, and subscriptions over graphql-transport-ws. It sends the sign-in with every tab. The
 * headers editor of a tab overrides the sign-in. A WebSocket sends these headers as the payload of connection_init. Each subscription opens its own
 * socket, so that a changed token applies at once. The client does not retry, so that the page shows when the server refuses or stops.
 */
export const makeFetcher = (authorization) => async (params, options) => {
  const headers = { ...signedIn(authorization, options?.headers), ...options?.headers };
  if (params.operationName === "IntrospectionQuery" && !hasAuthorization(headers)) return SIGNED_OUT;
  const variables = await withReadyIds(params.variables, (query) => ask(headers, query));
  const wsClient = createClient({ url: socketUrl.href, connectionParams: headers, retryAttempts: 0 });
  const send = createGraphiQLFetcher({ url: url.href, wsClient, enableIncrementalDelivery: false });
  const { documentAST, operationName } = upToDate(params);
  return send({ ...params, operationName, variables }, { ...options, documentAST, headers });
};

/** Parse the document again: right after a change of tabs, GraphiQL still has the syntax tree and the operation name of the previous tab. */
function upToDate({ query, operationName }) {
  try {
    const documentAST = parse(query);
    const names = documentAST.definitions.filter((one) => one.kind === "OperationDefinition").map((one) => one.name?.value);
    return { documentAST, operationName: names.length > 1 ? operationName : names[0] };
  } catch {
    return { operationName }; // the document has a syntax error, which the server will report
  }
}

/** Send a query of the page itself. Return the response, or {} when there is none. */
export async function ask(headers, query) {
  try {
    const body = JSON.stringify({ query });
    const answer = await fetch(url, { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body });
    return await answer.json();
  } catch {
    return {};
  }
}

const signedIn = (authorization, own) => (authorization && !hasAuthorization(own) ? { Authorization: authorization } : {});

const hasAuthorization = (headers) => Object.keys(headers ?? {}).some((name) => name.toLowerCase() === "authorization");
