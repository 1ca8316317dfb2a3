import completeTransfer from "./examples/complete.graphql?raw";
import lookAround from "./examples/look-around.graphql?raw";
import startTransfer from "./examples/start.graphql?raw";
import watchTransfers from "./examples/watch.graphql?raw";

/** The tabs of a first visit. GraphiQL names a tab after its operation. */
export function examples({ headers, callId }) {
  const start = {
    input: {
      type: "ATTENDED",
      transfererCallId: callId,
      transfereeAddresses: [{ type: "TEL", target: "+12025550100" }],
    },
  };
  const complete = { input: { transferId: "put the id of the transfer here" } };
  return [
    tab(lookAround),
    tab(startTransfer, start),
    tab(watchTransfers),
    tab(completeTransfer, complete),
  ];

  function tab(query, variables) {
    return { query, headers, variables: variables && JSON.stringify(variables, null, 2) };
  }
}
