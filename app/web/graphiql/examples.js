import completeTransfer from "./examples/complete.graphql?raw";
import lookAround from "./examples/look-around.graphql?raw";
import simulateCall from "./examples/simulate-call.graphql?raw";
import startTransfer from "./examples/start.graphql?raw";
import watchTransfer from "./examples/watch.graphql?raw";

/** The tabs of a first visit. GraphiQL names a tab after its operation. */
export const EXAMPLES = [
  tab(lookAround),
  tab(startTransfer, { type: "ATTENDED", transferableCall: "none yet: see tab 5", to: "+12025550100" }),
  tab(watchTransfer, { newestTransfer: "none yet: see tab 2" }),
  tab(completeTransfer, { newestTransfer: "none yet: see tab 2" }),
  tab(simulateCall, { caller: "+15550100300", agent: "0c7c8a3e-52b5-4f0e-9d51-6a1d4e0b7f01" }),
];

function tab(query, variables) {
  return { query, variables: variables && JSON.stringify(variables, null, 2) };
}
