// urql 6 with graphcache 9: a normalised cache, Relay pages, and subscriptions as server-sent events.
import { cacheExchange, type CacheExchangeOpts } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { Client, fetchExchange, gql, type CombinedError } from "@urql/core";

export interface Transfer {
  id: string;
  version: number;
  status: string;
  outcome: string | null;
  allowedCommands: string[];
}

export interface TransferEvent {
  id: string;
  cursor: string;
  kind: string;
  transfer: Transfer;
}

interface Page {
  transfers: { eventCursor: string; edges: { node: Transfer }[]; pageInfo: { hasNextPage: boolean; endCursor: string } };
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

export const TRANSFERS = gql<Page, { first: number; after?: string }>`
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

export const EVENTS = gql<{ transferEvents: TransferEvent }, { after: string }>`
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

export const START = gql<
  { startTransfer: { transfer: Transfer | null; userErrors: { code: string; message: string }[] } },
  { input: object }
>`
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

export const COMPLETE = gql<
  { completeTransfer: { transfer: Transfer | null; userErrors: { code: string; message: string }[] } },
  { input: { transferId: string } }
>`
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

/** `schema` is the introspection of schema.graphql without descriptions: `npm run generate` writes it. */
export function createUrql(url: string, token: () => string, schema: CacheExchangeOpts["schema"]): Client {
  return new Client({
    url,
    exchanges: [cacheExchange(cacheOptions(schema)), fetchExchange],
    fetchOptions: () => ({ headers: { authorization: `Bearer ${token()}` } }),
    fetchSubscriptions: true, // subscriptions are event streams from the same address
    preferGetMethod: false,
  });
}

/** These types have no id. They are parts of the entity that holds them. */
const PARTS = ["Address", "CallChange", "DialAttempt", "MetadataEntry", "TransferActor", "TransferCount", "UserError", "Viewer"];

function cacheOptions(schema: CacheExchangeOpts["schema"]): CacheExchangeOpts {
  return {
    schema,
    keys: Object.fromEntries(PARTS.map((type) => [type, () => null])),
    resolvers: { Query: { transfers: relayPagination() } },
    updates: {
      Subscription: {
        // A transfer that has just started is in no list yet: read the lists again.
        transferEvents({ transferEvents }, _arguments, cache) {
          if ((transferEvents as TransferEvent).kind !== "STARTED") return;
          for (const { fieldName, arguments: given } of cache.inspectFields("Query"))
            if (fieldName === "transfers") cache.invalidate("Query", fieldName, given);
        },
      },
    },
  };
}

/**
 * Follow the transfers, beginning after `cursor`, until the signal aborts.
 *
 * urql ends a subscription whose connection is lost, so this asks again after the last cursor.
 * Throw a CombinedError when the server refuses the subscription.
 */
export async function follow(client: Client, cursor: string, seen: (event: TransferEvent) => void, signal: AbortSignal) {
  while (!signal.aborted) {
    const refused = await new Promise<CombinedError | undefined>((resolve) => {
      const { unsubscribe } = client.subscription(EVENTS, { after: cursor }).subscribe(({ data, error, hasNext }) => {
        if (data && !error) {
          cursor = data.transferEvents.cursor;
          seen(data.transferEvents);
        }
        if (error || !hasNext) resolve(error && isFinal(error) ? error : undefined);
      });
      signal.addEventListener("abort", () => (unsubscribe(), resolve(undefined)), { once: true });
    });
    if (refused) throw refused;
    if (!signal.aborted) await new Promise((again) => setTimeout(again, 500 + 1000 * Math.random()));
  }
}

/** Return whether another try can't help: the server refuses the subscription or the token. */
function isFinal({ graphQLErrors, response }: CombinedError): boolean {
  const expired = response?.ok && graphQLErrors[0]?.extensions["code"] === "UNAUTHENTICATED";
  return response?.status === 401 || (graphQLErrors.length > 0 && !expired);
}
