import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./page.css"; // after GraphiQL's own styles, which it overrides

import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { useMemo, useState } from "react";
import { createRoot } from "react-dom/client";

import { EXAMPLES } from "./examples.js";
import { makeFetcher } from "./fetcher.js";
import { Habits } from "./habits.jsx";
import { fetchDemo, kept, Session, tidyStorage } from "./session.js";
import { SIGN_IN_PLUGIN } from "./sign-in.jsx";

const PLUGINS = [HISTORY_PLUGIN, explorerPlugin(), SIGN_IN_PLUGIN];

/** The page. Each sign-in creates a new fetcher, which makes GraphiQL fetch the schema again. */
function Page({ demo }) {
  const [authorization, setAuthorization] = useState(demo ?? kept.read());
  const [firstPanel] = useState(authorization ? undefined : SIGN_IN_PLUGIN);
  const fetcher = useMemo(() => makeFetcher(authorization), [authorization]);
  const session = useMemo(() => ({ authorization, signIn, signOut }), [authorization]);

  function signIn(token) {
    const given = /^bearer /i.test(token) ? token : `Bearer ${token}`;
    if (!demo) kept.write(given);
    setAuthorization(given);
  }

  function signOut() {
    kept.remove();
    setAuthorization(demo);
  }

  return (
    <Session.Provider value={session}>
      <GraphiQL
        fetcher={fetcher}
        plugins={PLUGINS}
        visiblePlugin={firstPanel}
        defaultTabs={EXAMPLES}
        defaultEditorToolsVisibility="variables"
        showPersistHeadersSettings={false}
      >
        <Habits />
      </GraphiQL>
    </Session.Provider>
  );
}

const demo = await fetchDemo();
tidyStorage();
createRoot(document.getElementById("graphiql")).render(<Page demo={demo} />);
