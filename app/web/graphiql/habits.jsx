/** What this page's GraphiQL does beside what GraphiQL does by itself. */

import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useContext, useEffect, useSyncExternalStore } from "react";

import { ask } from "./fetcher.js";
import { findIds, isReady, onFound, write } from "./ready-ids.js";
import { Session } from "./session.js";

export function Habits() {
  useSystemTheme();
  useReadableLines();
  useReadyIds();
  return null;
}

/** GraphiQL's own colours follow the system; its editors only look at it when the page is opened. */
function useSystemTheme() {
  const theme = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  const isDark = useMedia("(prefers-color-scheme: dark)");
  useEffect(() => {
    if (!theme) setTheme(null);
  }, [isDark, theme, setTheme]);
}

/** A line that is too long goes on below. On a narrow screen letters are smaller. */
function useReadableLines() {
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  const headerEditor = useGraphiQL((state) => state.headerEditor);
  const responseEditor = useGraphiQL((state) => state.responseEditor);
  const fontSize = useMedia("(max-width: 800px)") ? 12 : 15;
  useEffect(() => {
    for (const editor of [queryEditor, variableEditor, headerEditor, responseEditor]) editor?.updateOptions({ wordWrap: "on", fontSize });
  }, [queryEditor, variableEditor, headerEditor, responseEditor, fontSize]);
}

function useReadyIds() {
  const activeTabIndex = useGraphiQL((state) => state.activeTabIndex);
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  const { authorization } = useContext(Session);
  useEffect(() => {
    if (!variableEditor) return;
    const fill = (ids) => {
      const text = variableEditor.getValue();
      const filled = write(text, ids);
      if (filled !== text) variableEditor.setValue(filled);
    };
    const look = async () => {
      if (authorization && isReady(variableEditor.getValue())) fill(await findIds((query) => ask({ Authorization: authorization }, query)));
    };
    look();
    addEventListener("focus", look);
    const stop = onFound(fill);
    return () => {
      removeEventListener("focus", look);
      stop();
    };
  }, [activeTabIndex, variableEditor, authorization]);
}

/** Whether the media query holds, now and after each change. */
function useMedia(query) {
  const subscribe = (changed) => {
    const media = matchMedia(query);
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  };
  return useSyncExternalStore(subscribe, () => matchMedia(query).matches);
}
