import { createContext } from "react";

/** The sign-in: `{ authorization, signIn(token), signOut() }`. `authorization` is the value of the header, or null. */
export const Session = createContext(null);

/** Return the Authorization header of a demo, or null. A demo serves {"headers": {"Authorization": "Bearer …"}}; other servers serve {}. */
export async function fetchDemo() {
  const answer = await fetch("session.json");
  return (answer.ok && (await answer.json()).headers?.Authorization) || null;
}

const TOKEN = "transfers:authorization";

/** The token that a user entered, kept between visits. A demo's token is not kept, because each visit gets a new one. */
export const kept = {
  read: () => localStorage.getItem(TOKEN),
  write: (authorization) => localStorage.setItem(TOKEN, authorization),
  remove: () => localStorage.removeItem(TOKEN),
};

const TABS = "graphiql:tabState"; // GraphiQL chose this name, and the names of the editors

/**
 * Correct what the browser has stored on an earlier visit. GraphiQL stores the editors' contents apart from the tabs, and opens another tab when they
 * differ: make them equal. Remove the stored headers, because an old token in them would override the sign-in.
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
