/** The behaviour that this page adds to GraphiQL. */

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

/** Follow the system's theme in the editors, too. GraphiQL reads it for them only when the page opens. */
function useSystemTheme() {
  const theme = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  const isDark = useMedia("(prefers-color-scheme: dark)");
  useEffect(() => {
    if (!theme) setTheme(null);
  }, [isDark, theme, setTheme]);
}

/** Wrap long lines, and use a smaller font on a narrow screen. */
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

/** Return whether the media query matches, and render again when that changes. */
function useMedia(query) {
  const subscribe = (changed) => {
    const media = matchMedia(query);
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  };
  return useSyncExternalStore(subscribe, () => matchMedia(query).matches);
}
