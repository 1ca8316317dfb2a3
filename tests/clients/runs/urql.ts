// A desk built with urql: starts a transfer, follows it by server-sent events, completes it, and reads a second page.
import { pipe, subscribe } from "wonka";
import { COMPLETE, createUrql, follow, START, TRANSFERS } from "../recipes/urql.ts";
import schema from "../generated/schema.json" with { type: "json" };
import { say, Screen, talk, to, token, url } from "./desk.ts";

const client = createUrql(url, () => token, schema as never);
const screen = new Screen();
const { unsubscribe } = pipe(
  client.query(TRANSFERS, { first: 20 }),
  subscribe(({ data }) => screen.show(data?.transfers.edges[0]?.node.status)),
);
const { data } = await client.query(TRANSFERS, { first: 20 }).toPromise();
const stop = new AbortController();
const following = follow(client, data!.transfers.eventCursor, () => {}, stop.signal);

const started = await client.mutation(START, { input: to(await talk()) }).toPromise();
say({ started: started.data!.startTransfer });
await screen.until("CONSULTING");
const transferId = started.data!.startTransfer.transfer!.id;
const completed = await client.mutation(COMPLETE, { input: { transferId } }).toPromise();
say({ completed: completed.data!.completeTransfer });
await screen.until("COMPLETED");
say({ cached: client.readQuery(TRANSFERS, { first: 20 })!.data!.transfers.edges[0]!.node.status });
stop.abort();
await following;
unsubscribe();

const other = createUrql(url, () => token, schema as never);
const first = await other.query(TRANSFERS, { first: 1 }).toPromise();
const after = first.data!.transfers.pageInfo.endCursor;
const both = await other.query(TRANSFERS, { first: 1, after }).toPromise();
say({ paged: both.data!.transfers.edges.length });
say({ shown: screen.shown });
