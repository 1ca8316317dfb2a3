/**
 * What the server tells the page at `session.json`, beside it:
 *
 *   {"headers": {"Authorization": "Bearer …"}, "callId": "…"}   in a demo: who to be, and the agent's side of a live call
 *   {}                                                          otherwise
 */
export async function fetchSession() {
  const answer = await fetch("session.json");
  const { headers, callId } = answer.ok ? await answer.json() : {};
  return { headers: headers && JSON.stringify(headers, null, 2), callId: callId ?? "put the id of a call here" };
}

const CALL_ID = "transfers:callId";
const TABS = "graphiql:tabState"; // the name is GraphiQL's, as are those of the editors

/**
 * Brings the tabs that the browser kept from an earlier visit up to date: a demo signs every tab in anew, and its live call takes the place of the
 * one before. GraphiQL also keeps the editors' contents apart from the tabs, and opens one tab more when they differ, so they are made to agree.
 */
export function renewStorage({ headers, callId }) {
  const before = localStorage.getItem(CALL_ID) ?? callId;
  localStorage.setItem(CALL_ID, callId);

  const state = JSON.parse(localStorage.getItem(TABS));
  for (const tab of state?.tabs ?? []) {
    tab.headers = headers ?? tab.headers;
    tab.variables = tab.variables?.replaceAll(before, callId) ?? null;
  }
  if (state) localStorage.setItem(TABS, JSON.stringify(state));

  const active = state?.tabs[state.activeTabIndex];
  for (const editor of ["query", "variables", "headers"]) keep(`graphiql:${editor}`, active?.[editor]);
}

function keep(key, text) {
  if (text) localStorage.setItem(key, text);
  else localStorage.removeItem(key);
}
