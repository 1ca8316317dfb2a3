import { defineConfig } from "vite";

/**
 * GraphiQL checks a tab's variables with graphql-language-service. Its latest version, 5.7.0, requires every non-null input field, even a field with
 * a default, and underlines an input without it. This plugin lets it ask graphql which fields are required.
 */
const optionalDefaults = {
  name: "optional-defaults",
  transform(code, id) {
    if (!id.endsWith("/getVariablesJSONSchema.js")) return null;
    const mended = code.replace("if (fieldRequired)", "if (isRequiredInputField(field))");
    if (mended === code) this.error("graphql-language-service has changed: check whether optionalDefaults is still needed");
    return { code: `import { isRequiredInputField } from "graphql";\n${mended}`, map: null };
  },
};

export default defineConfig({
  base: "./", // relative URLs, so that the page works at any path
  logLevel: "error",
  plugins: [optionalDefaults],
  worker: { format: "es", plugins: () => [optionalDefaults] },
  build: {
    target: "es2022", // main.jsx uses top-level await
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 8192, // Monaco, the editor, is one large chunk
  },
});
