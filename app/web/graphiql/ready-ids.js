/**
 * Two variables that the page fills in by itself, in any tab that has them: a call that can be transferred now, and the newest live transfer (the
 * last one, when none is live). They are looked up when a tab is opened, when the window gets the focus, and when an operation is run; a run keeps
 * an id that still serves, so that it acts on what the reader sees.
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

/** Return the ids as {variable: id}, without those that are not to be had. Prefer ids that stand in `shown`. */
export async function findIds(ask, shown = "") {
  const { data } = await ask(LOOK);
  const live = data?.live?.nodes ?? [];
  return {
    [CALL]: choose(transferable(data?.calls?.nodes ?? []), shown),
    [TRANSFER]: choose(live.length ? live : (data?.last?.nodes ?? []), shown),
  };
}

const choose = (found, shown) => (found.find(({ id }) => shown.includes(id)) ?? found[0])?.id;

/** An agent's call comes first, and one that an earlier transfer dialled comes last. */
function transferable(calls) {
  const rank = (call) => (call.ownerId ? 2 : 0) + (call.groupcallId ? 0 : 1);
  return calls.filter((call) => !call.transfer && call.conference?.calls.length > 1).sort((a, b) => rank(b) - rank(a));
}

/** Return the text of a tab's variables with the ids in their places. */
export const write = (text, ids) =>
  Object.entries(ids).reduce((written, [name, id]) => (id ? written.replace(place(name), `$1"${id}"`) : written), text);

const place = (name) => new RegExp(`("${name}"\\s*:\\s*)"[^"\\\\]*"`);

const found = new EventTarget();

/** Call `hear` with the ids whenever a run has looked them up; return what ends that. */
export function onFound(hear) {
  const listener = ({ detail }) => hear(detail);
  found.addEventListener("ids", listener);
  return () => found.removeEventListener("ids", listener);
}

/** Return the variables of an operation that is about to run. */
export async function withReadyIds(variables, ask) {
  const text = JSON.stringify(variables ?? {});
  if (!isReady(text)) return variables;
  const ids = await findIds(ask, text);
  found.dispatchEvent(new CustomEvent("ids", { detail: ids }));
  return JSON.parse(write(text, ids));
}
