import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { parse } from "graphql";
import { createClient } from "graphql-ws";

import { withReadyIds } from "./ready-ids.js";

const url = new URL("/graphql", location.href);
const socketUrl = new URL(url);
socketUrl.protocol = url.protocol.replace("http", "ws");

const SIGNED_OUT = { errors: [{ message: "Sign in first: press the key symbol." }] };

/**
 * Queries and mutations go over HTTP, subscriptions over graphql-transport-ws at the same address. The sign-in goes with every tab, and what stands
 * in a tab's headers editor goes with that tab and before the sign-in: as headers, or as the payload of connection_init. Each subscription has a
 * socket of its own, so that a changed token counts at once. It does not retry, so that the page shows when the server refuses or goes away.
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

/** For a moment after a change of tabs, GraphiQL has the new document with the syntax tree and the operation name of the one before. */
function upToDate({ query, operationName }) {
  try {
    const documentAST = parse(query);
    const names = documentAST.definitions.filter((one) => one.kind === "OperationDefinition").map((one) => one.name?.value);
    return { documentAST, operationName: names.length > 1 ? operationName : names[0] };
  } catch {
    return { operationName }; // the server says what is wrong with the document
  }
}

/** Return the answer to a query of the page's own. Without an answer, return {}. */
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
