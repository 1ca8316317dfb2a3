/** The panel where a user enters a token for all tabs. */

import { useContext, useEffect, useState } from "react";

import { ask } from "./fetcher.js";
import { Session } from "./session.js";

export const SIGN_IN_PLUGIN = { title: "Sign in", icon: Key, content: SignIn };

function SignIn() {
  const { authorization, signIn, signOut } = useContext(Session);
  const who = useWho(authorization);
  const [token, setToken] = useState("");
  const submit = (event) => {
    event.preventDefault();
    signIn(token.trim());
    setToken("");
  };
  return (
    <section className="sign-in" aria-label="Sign in">
      <h1>Sign in</h1>
      <p role="status">{who}</p>
      <form onSubmit={submit}>
        <label>
          Token
          <textarea rows="3" required spellCheck="false" autoComplete="off" value={token} onChange={(event) => setToken(event.target.value)} />
        </label>
        <button type="submit" className="graphiql-button">
          Sign in
        </button>
        <button type="button" className="graphiql-button" disabled={!authorization} onClick={signOut}>
          Sign out
        </button>
      </form>
      <p>
        <code>transfers token --customer UUID</code> prints a token. The page sends it with every tab, except a tab with its own{" "}
        <code>Authorization</code> under Headers.
      </p>
    </section>
  );
}

/** Return a sentence that says who the server takes the user for. */
function useWho(authorization) {
  const [who, setWho] = useState("");
  useEffect(() => {
    let isCurrent = true;
    const say = (text) => isCurrent && setWho(text);
    if (authorization) ask({ Authorization: authorization }, "{ viewer { subject permissions } }").then((answer) => say(described(answer)));
    else say("You are signed out.");
    return () => {
      isCurrent = false;
    };
  }, [authorization]);
  return who;
}

function described({ data, errors }) {
  if (data?.viewer) return `You are signed in as ${data.viewer.subject}, with ${data.viewer.permissions.join(", ") || "no permission"}.`;
  return `The server did not accept the token: ${errors?.[0].message ?? "it gave no answer."}`;
}

function Key() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <circle cx="8" cy="16" r="4.5" />
      <path d="M11.2 12.8 20 4m-4 4 3 3" />
    </svg>
  );
}
