/**
 * The page fills in two variables, in any tab that has them: a call that can be transferred now, and the newest live transfer (the newest of all,
 * when none is live). It looks them up when a tab is opened, when the window gets the focus, and when an operation runs. A run keeps an id that is
 * still valid, so that the operation acts on the id that the user sees.
 */
const CALL = "transferableCall";
const TRANSFER = "newestTransfer";

const LOOK = `query ReadyIds {
  live: transfers(filter: { isLive: true }, first: 20) { nodes { id } }
  last: transfers(first: 1) { nodes { id } }
  calls(filter: { statuses: [PROGRESSING] }, first: 50) {
    nodes { id ownerId groupcallId transfer { id } conference { calls { id } } }
  }
}`;

export const isReady = (text) => [CALL, TRANSFER].some((name) => place(name).test(text));

/** Return the ids as {variable: id}; an id that is not found is undefined. Prefer ids that occur in the text `shown`. */
export async function findIds(ask, shown = "") {
  const { data } = await ask(LOOK);
  const live = data?.live?.nodes ?? [];
  return {
    [CALL]: choose(transferable(data?.calls?.nodes ?? []), shown),
    [TRANSFER]: choose(live.length ? live : (data?.last?.nodes ?? []), shown),
  };
}

const choose = (found, shown) => (found.find(({ id }) => shown.includes(id)) ?? found[0])?.id;

/** Return the calls that can be transferred: agents' calls first, calls that an earlier transfer dialled last. */
function transferable(calls) {
  const rank = (call) => (call.ownerId ? 2 : 0) + (call.groupcallId ? 0 : 1);
  return calls.filter((call) => !call.transfer && call.conference?.calls.length > 1).sort((a, b) => rank(b) - rank(a));
}

/** Return the text of a tab's variables with the ids filled in. */
export const write = (text, ids) =>
  Object.entries(ids).reduce((written, [name, id]) => (id ? written.replace(place(name), `$1"${id}"`) : written), text);

const place = (name) => new RegExp(`("${name}"\\s*:\\s*)"[^"\\\\]*"`);

const found = new EventTarget();

/** Call `hear` with the ids whenever a run has looked them up. Return a function that unsubscribes. */
export function onFound(hear) {
  const listener = ({ detail }) => hear(detail);
  found.addEventListener("ids", listener);
  return () => found.removeEventListener("ids", listener);
}

/** Return the variables of an operation that is about to run, with the ids filled in. */
export async function withReadyIds(variables, ask) {
  const text = JSON.stringify(variables ?? {});
  if (!isReady(text)) return variables;
  const ids = await findIds(ask, text);
  found.dispatchEvent(new CustomEvent("ids", { detail: ids }));
  return JSON.parse(write(text, ids));
}
