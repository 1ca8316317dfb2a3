import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";

import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";

import { examples } from "./examples.js";
import { makeFetcher } from "./fetcher.js";
import { fetchSession, renewStorage } from "./session.js";

const session = await fetchSession();
renewStorage(session);

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={makeFetcher(session)}
    plugins={[HISTORY_PLUGIN, explorerPlugin()]}
    defaultTabs={examples(session)}
    defaultHeaders={session.headers}
    shouldPersistHeaders
    defaultEditorToolsVisibility="variables"
  />,
);
