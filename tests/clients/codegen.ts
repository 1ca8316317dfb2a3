// graphql-codegen 7: typed documents from the schema. Run by `npm run generate`.
import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../../schema.graphql", // in your project: a copy of the file, or the address of the server
  documents: ["recipes/typed/*.ts"],
  importExtension: ".ts", // nodenext wants extensions; ".js" when tsc compiles the files
  generates: {
    "generated/typed/": {
      preset: "client",
      config: {
        strictScalars: true, // an unknown scalar stops the generator, and is not `any`
        scalars: { ID: "string", DateTime: "string" }, // ISO 8601 with microseconds: a Date of JavaScript would lose three digits
        enumType: "string-literal",
        useTypeImports: true,
        documentMode: "string",
      },
    },
  },
};

export default config;
