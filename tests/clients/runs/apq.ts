// Counts the requests of Apollo's link for automatic persisted queries: node apq.ts URL TOKEN. Prints one number for three queries.
import { ApolloClient, ApolloLink } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { createHash } from "node:crypto";
import { createApollo, createCache, TRANSFERS } from "../recipes/apollo.ts";
import { say, token, url } from "./desk.ts";

let requests = 0;
const counted = globalThis.fetch;
globalThis.fetch = (...call) => (requests++, counted(...call));

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const link = ApolloLink.from([new PersistedQueryLink({ sha256 }), createApollo(url, () => token).link]);
const client = new ApolloClient({ link, cache: createCache() });
for (const first of [1, 2, 3]) {
  await client.query({ query: TRANSFERS, variables: { first }, fetchPolicy: "network-only" });
}
say({ requests });
client.stop();
