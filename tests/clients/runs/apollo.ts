// A desk built with Apollo Client: starts a transfer, follows it, completes it, and hears an old answer late.
import { complete, createApollo, follow, START, TRANSFERS } from "../recipes/apollo.ts";
import { say, Screen, talk, to, token, url } from "./desk.ts";

const client = createApollo(url, () => token);
const stop = await follow(client, () => {}, (error) => {
  throw error;
});
const screen = new Screen();
const list = client.watchQuery({ query: TRANSFERS, variables: { first: 20 }, fetchPolicy: "cache-only" });
list.subscribe(({ data }) => screen.show(data?.transfers?.edges?.[0]?.node?.status));

const started = await client.mutate({ mutation: START, variables: { input: to(await talk()) } });
say({ started: started.data!.startTransfer });
await screen.until("CONSULTING");

const early = await client.query({ query: TRANSFERS, variables: { first: 20 }, fetchPolicy: "no-cache" });
const answer = complete(client, early.data!.transfers.edges[0]!.node);
say({ optimistic: screen.shown.at(-1) });
say({ completed: await answer });
await screen.until("COMPLETED");

client.writeQuery({ query: TRANSFERS, variables: { first: 20 }, data: early.data as never });
say({ late: early.data!.transfers.edges[0]!.node.status, cached: top()?.status });

const other = createApollo(url, () => token);
const pages = other.watchQuery({ query: TRANSFERS, variables: { first: 1 } });
await new Promise<void>((loaded) => pages.subscribe(({ data, dataState }) => (dataState === "complete" && data ? loaded() : null)));
await pages.fetchMore({ variables: { after: pages.getCurrentResult().data!.transfers!.pageInfo!.endCursor! } });
const { edges } = other.readQuery({ query: TRANSFERS, variables: { first: 1 } })!.transfers;
say({ paged: edges.length });

say({ shown: screen.shown });
stop();
client.stop();
other.stop();

function top() {
  return client.readQuery({ query: TRANSFERS, variables: { first: 20 } })?.transfers.edges[0]?.node;
}
