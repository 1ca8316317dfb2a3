import { defineConfig } from "vite";

/**
 * GraphiQL checks a tab's variables with graphql-language-service, which takes every non-null input field for required (5.7.0, its latest). It would
 * underline an input that leaves out a field with a default, so ask graphql itself which fields are required.
 */
const optionalDefaults = {
  name: "optional-defaults",
  transform(code, id) {
    if (!id.endsWith("/getVariablesJSONSchema.js")) return null;
    const mended = code.replace("if (fieldRequired)", "if (isRequiredInputField(field))");
    if (mended === code) this.error("graphql-language-service has changed: see whether optionalDefaults is still needed");
    return { code: `import { isRequiredInputField } from "graphql";\n${mended}`, map: null };
  },
};

export default defineConfig({
  base: "./", // the page works wherever it is mounted
  logLevel: "error",
  plugins: [optionalDefaults],
  worker: { format: "es", plugins: () => [optionalDefaults] },
  build: {
    target: "es2022", // main.jsx awaits at the top level
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 8192, // Monaco is one large editor
  },
});
