import { createContext } from "react";

/** Who the page acts as: `{ authorization, signIn(token), signOut() }`. The `authorization` is the value of the header, or null. */
export const Session = createContext(null);

/** The server says at `session.json` who to be in a demo: {"headers": {"Authorization": "Bearer …"}}. Otherwise it says {}. */
export async function fetchDemo() {
  const answer = await fetch("session.json");
  return (answer.ok && (await answer.json()).headers?.Authorization) || null;
}

const TOKEN = "transfers:authorization";

/** A demo signs every visit in anew, so only other tokens are kept. */
export const kept = {
  read: () => localStorage.getItem(TOKEN),
  write: (authorization) => localStorage.setItem(TOKEN, authorization),
  remove: () => localStorage.removeItem(TOKEN),
};

const TABS = "graphiql:tabState"; // GraphiQL chose this name, and the names of the editors

/**
 * Bring what the browser keeps from an earlier visit in order. GraphiQL keeps the editors' contents apart from the tabs and opens another tab when
 * they differ, so make them agree. The headers are left out: an old token there would go before the sign-in.
 */
export function tidyStorage() {
  const state = JSON.parse(localStorage.getItem(TABS));
  for (const tab of state?.tabs ?? []) tab.headers = null;
  if (state) localStorage.setItem(TABS, JSON.stringify(state));

  const active = state?.tabs[state.activeTabIndex];
  for (const editor of ["query", "variables", "headers"]) set(`graphiql:${editor}`, active?.[editor]);
}

function set(key, text) {
  if (text) localStorage.setItem(key, text);
  else localStorage.removeItem(key);
}
