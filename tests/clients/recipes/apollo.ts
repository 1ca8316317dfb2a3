// Apollo Client 4: HTTP for queries and mutations, a WebSocket for subscriptions, and a cache that keeps the newest state.
import {
  ApolloClient,
  ApolloLink,
  gql,
  HttpLink,
  InMemoryCache,
  type Cache,
  type Reference,
  type StoreObject,
  type TypedDocumentNode,
} from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";
import { createSockets } from "./sockets.ts";

export interface Transfer {
  __typename: "Transfer";
  id: string;
  version: number;
  status: string;
  outcome: string | null;
  allowedCommands: string[];
}

const TRANSFER = gql`
  fragment TransferParts on Transfer {
    id
    version
    status
    outcome
    allowedCommands
  }
`;

// Select `edges`: relayStylePagination merges them, and leaves `nodes` as the last page gave them.
export const TRANSFERS: TypedDocumentNode<
  { transfers: { eventCursor: string; edges: { node: Transfer }[]; pageInfo: { hasNextPage: boolean; endCursor: string } } },
  { first: number; after?: string }
> = gql`
  query Transfers($first: Int, $after: String) {
    transfers(first: $first, after: $after) {
      eventCursor
      edges {
        cursor
        node {
          ...TransferParts
        }
      }
      pageInfo {
        hasNextPage
        endCursor
        hasPreviousPage
        startCursor
      }
    }
  }
  ${TRANSFER}
`;

export interface TransferEvent {
  id: string;
  cursor: string;
  kind: string;
  transfer: Transfer;
}

export const EVENTS: TypedDocumentNode<{ transferEvents: TransferEvent }, { after: string | null }> = gql`
  subscription TransferEvents($after: String) {
    transferEvents(after: $after) {
      id
      cursor
      kind
      transfer {
        ...TransferParts
      }
    }
  }
  ${TRANSFER}
`;

export const START: TypedDocumentNode<
  { startTransfer: { transfer: Transfer | null; userErrors: { code: string; message: string }[] } },
  { input: object }
> = gql`
  mutation StartTransfer($input: StartTransferInput!) {
    startTransfer(input: $input) {
      transfer {
        ...TransferParts
      }
      userErrors {
        code
        message
      }
    }
  }
  ${TRANSFER}
`;

export const COMPLETE: TypedDocumentNode<
  { completeTransfer: { transfer: Transfer | null; userErrors: { code: string; message: string }[] } },
  { input: { transferId: string } }
> = gql`
  mutation CompleteTransfer($input: CompleteTransferInput!) {
    completeTransfer(input: $input) {
      transfer {
        ...TransferParts
      }
      userErrors {
        code
        message
      }
    }
  }
  ${TRANSFER}
`;

export function createApollo(url: string, token: () => string | Promise<string>): ApolloClient {
  const http = new HttpLink({
    uri: url,
    fetch: async (address, init) =>
      fetch(address, { ...init, headers: { ...init?.headers, authorization: `Bearer ${await token()}` } }),
  });
  const sockets = createSockets(url.replace(/^http/, "ws"), token);
  return new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(sockets),
      http,
    ),
    cache: createCache(),
  });
}

export function createCache(): InMemoryCache {
  return new NewestCache({
    possibleTypes: { Node: ["Transfer", "Call", "Groupcall", "Conference"] },
    typePolicies: {
      Query: { fields: { transfers: relayStylePagination(["filter", "order"]) } },
    },
  });
}

/**
 * A cache in which the higher version wins.
 *
 * An answer and an event travel on different connections, so the older state can arrive last.
 * Entities that have a `version` are compared with what the cache holds; where the cache holds
 * a higher one, its values stay. Select `id` and `version` without an alias.
 */
export class NewestCache extends InMemoryCache {
  override write<TData = unknown, TVariables extends Record<string, any> = Record<string, any>>(
    options: Cache.WriteOptions<TData, TVariables>,
  ): Reference | undefined {
    const newer = this.newerThan(options.result);
    if (newer.size === 0) return super.write(options);
    let written: Reference | undefined;
    this.performTransaction(() => {
      written = super.write(options);
      for (const [id, kept] of newer) {
        this.modify({ id, fields: (value, { storeFieldName }) => (storeFieldName in kept ? kept[storeFieldName] : value) });
      }
    });
    return written;
  }

  /** Return the cached entities that a result would replace by an older version. */
  private newerThan(result: unknown): Map<string, StoreObject> {
    const newer = new Map<string, StoreObject>();
    const cached = this.extract();
    for (const entity of versioned(result)) {
      const id = this.identify(entity);
      const kept = id === undefined ? undefined : cached[id];
      if (id && kept && Number(kept["version"]) > entity.version) newer.set(id, kept);
    }
    return newer;
  }
}

type Versioned = StoreObject & { version: number };

function* versioned(value: unknown): Iterable<Versioned> {
  if (typeof value !== "object" || value === null) return;
  if ("id" in value && "version" in value) yield value as Versioned;
  for (const part of Object.values(value)) yield* versioned(part);
}

/**
 * Complete a transfer, and show ENDING before the server has answered.
 *
 * The optimistic version is the present one: the real answer and every event have a higher version.
 */
export async function complete(client: ApolloClient, transfer: Transfer) {
  const { data } = await client.mutate({
    mutation: COMPLETE,
    variables: { input: { transferId: transfer.id } },
    optimisticResponse: {
      completeTransfer: {
        __typename: "CompleteTransferPayload",
        transfer: { ...transfer, status: "ENDING", outcome: "COMPLETED", allowedCommands: [] },
        userErrors: [],
      } as never,
    },
  });
  return data?.completeTransfer;
}

/**
 * Read the newest transfers, then follow what happens to any of them.
 *
 * `seen` is called for each event, after the cache has taken it in. Return a function that stops it.
 */
export async function follow(client: ApolloClient, seen: (event: TransferEvent) => void, failed: (error: unknown) => void) {
  const { data } = await client.query({ query: TRANSFERS, variables: { first: 20 } });
  // `eventCursor` was read no later than the page, so no event falls between the two.
  const events = client.subscribe({ query: EVENTS, variables: { after: data!.transfers.eventCursor } });
  const subscription = events.subscribe(({ data, error }) => {
    if (error) return failed(error);
    if (data!.transferEvents.kind === "STARTED") prepend(client, data!.transferEvents.transfer);
    seen(data!.transferEvents);
  });
  return () => subscription.unsubscribe();
}

/** Put a transfer that has just started at the top of the list that has no filter, unless it is there already. */
function prepend(client: ApolloClient, transfer: Transfer) {
  client.cache.modify<{ transfers: { edges: { node: Reference }[] } }>({
    fields: {
      transfers(page, { storeFieldName, toReference, readField }) {
        const there = (page as { edges: { node: Reference }[] }).edges;
        if (storeFieldName !== "transfers:{}" || there.some(({ node }) => readField("id", node) === transfer.id)) return page;
        return { ...page, edges: [{ __typename: "TransferEdge", cursor: "", node: toReference(transfer as never)! }, ...there] };
      },
    },
  });
}
