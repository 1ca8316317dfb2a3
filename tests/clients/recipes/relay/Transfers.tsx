// A list of transfers that stays fresh, its further pages, a button to complete, and the steps of one transfer.
import { Suspense, useMemo, useState } from "react";
import { graphql, useFragment, useLazyLoadQuery, useMutation, usePaginationFragment, useSubscription } from "react-relay";
import type { TransfersCompleteMutation } from "../../generated/relay/TransfersCompleteMutation.graphql.ts";
import type { TransfersList_query$key } from "../../generated/relay/TransfersList_query.graphql.ts";
import type { TransfersParty_node$key } from "../../generated/relay/TransfersParty_node.graphql.ts";
import type { TransfersQuery } from "../../generated/relay/TransfersQuery.graphql.ts";
import type { TransfersRow_transfer$key } from "../../generated/relay/TransfersRow_transfer.graphql.ts";
import type { TransfersSteps_transfer$key } from "../../generated/relay/TransfersSteps_transfer.graphql.ts";
import type { TransfersStepsQuery } from "../../generated/relay/TransfersStepsQuery.graphql.ts";
import type { TransfersSubscription } from "../../generated/relay/TransfersSubscription.graphql.ts";

export function Transfers() {
  const query = useLazyLoadQuery<TransfersQuery>(
    graphql`
      query TransfersQuery {
        ...TransfersList_query
      }
    `,
    {},
  );
  return <List query={query} />;
}

function List({ query }: { query: TransfersList_query$key }) {
  const { data, hasNext, loadNext } = usePaginationFragment(
    graphql`
      fragment TransfersList_query on Query
      @refetchable(queryName: "TransfersListQuery")
      @argumentDefinitions(first: { type: "Int", defaultValue: 2 }, after: { type: "String" }) {
        transfers(first: $first, after: $after) @connection(key: "TransfersList_transfers") {
          __id
          eventCursor
          edges {
            node {
              id
              ...TransfersRow_transfer
            }
          }
        }
      }
    `,
    query,
  );
  const { __id, eventCursor, edges } = data.transfers!;
  useTransferEvents(__id, eventCursor);
  return (
    <>
      <ul>
        {edges.map(({ node }) => (
          <Row key={node.id} transfer={node} />
        ))}
      </ul>
      {hasNext && <button onClick={() => loadNext(2)}>More transfers</button>}
    </>
  );
}

/** Follow the transfers from the page that was read. `@prependNode` leaves a transfer that is in the list where it is. */
function useTransferEvents(connection: string, after: string) {
  const config = useMemo(
    () => ({
      subscription: graphql`
        subscription TransfersSubscription($after: String, $connections: [ID!]!) {
          transferEvents(after: $after) {
            cursor
            transfer @prependNode(connections: $connections, edgeTypeName: "TransferEdge") {
              id
              ...TransfersRow_transfer
            }
          }
        }
      `,
      variables: { after, connections: [connection] },
    }),
    [connection], // and not `after`: from the first page on, the network resumes by itself
  );
  useSubscription<TransfersSubscription>(config);
}

function Row({ transfer }: { transfer: TransfersRow_transfer$key }) {
  const data = useFragment(
    graphql`
      fragment TransfersRow_transfer on Transfer {
        id
        status
        allowedCommands
        transfererCall {
          ...TransfersParty_node
        }
      }
    `,
    transfer,
  );
  // The subscription brings the new status. The answer asks for none, since it may arrive after a newer event.
  const [complete] = useMutation<TransfersCompleteMutation>(graphql`
    mutation TransfersCompleteMutation($input: CompleteTransferInput!) {
      completeTransfer(input: $input) {
        userErrors {
          message
        }
      }
    }
  `);
  const [open, setOpen] = useState(false);
  const allowed = data.allowedCommands.includes("COMPLETE");
  return (
    <li>
      <output>{data.status}</output>
      <Party node={data.transfererCall} />
      <button disabled={!allowed} onClick={() => complete({ variables: { input: { transferId: data.id } } })}>
        Complete
      </button>
      <button onClick={() => setOpen(!open)}>Steps</button>
      <Suspense>{open && <Steps id={data.id} />}</Suspense>
    </li>
  );
}

function Party({ node }: { node: TransfersParty_node$key | null | undefined }) {
  // `status` of a Transfer and of a Call differ in type. Where both stand under Node, each needs an alias.
  const data = useFragment(
    graphql`
      fragment TransfersParty_node on Node {
        ... on Call {
          callStatus: status
        }
        ... on Transfer {
          transferStatus: status
        }
      }
    `,
    node ?? null,
  );
  return <small>{data?.callStatus ?? data?.transferStatus}</small>;
}

function Steps({ id }: { id: string }) {
  const { transfer } = useLazyLoadQuery<TransfersStepsQuery>(
    graphql`
      query TransfersStepsQuery($id: ID!) {
        transfer(id: $id) {
          ...TransfersSteps_transfer
        }
      }
    `,
    { id },
  );
  const { data, hasNext, loadNext } = usePaginationFragment(
    graphql`
      fragment TransfersSteps_transfer on Transfer
      @refetchable(queryName: "TransfersMoreStepsQuery")
      @argumentDefinitions(first: { type: "Int", defaultValue: 2 }, after: { type: "String" }) {
        events(first: $first, after: $after) @connection(key: "TransfersSteps_events") {
          edges {
            node {
              id
              kind
              status
            }
          }
        }
      }
    `,
    transfer as TransfersSteps_transfer$key,
  );
  return (
    <ol>
      {data.events?.edges.map(({ node }) => (
        <li key={node.id}>
          {node.kind} {node.status}
        </li>
      ))}
      {hasNext && <button onClick={() => loadNext(20)}>More steps</button>}
    </ol>
  );
}
