// The page's start: who is signed in, and where the server is.
import { StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { RelayEnvironmentProvider } from "react-relay";
import { createEnvironment } from "./environment.ts";
import { Transfers } from "./Transfers.tsx";

// In your page the token comes from your sign-in.
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
// Through Vite's proxy: /graphql. Directly: VITE_TRANSFERS_URL=http://127.0.0.1:8000/graphql.
const environment = createEnvironment(import.meta.env["VITE_TRANSFERS_URL"] ?? "/graphql", () => token);

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <RelayEnvironmentProvider environment={environment}>
      <Suspense fallback="Loading …">
        <Transfers />
      </Suspense>
    </RelayEnvironmentProvider>
  </StrictMode>,
);
