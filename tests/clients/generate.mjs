// Writes what the recipes import and is not committed: npm run generate.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { getIntrospectedSchema, minifyIntrospectionQuery } from "@urql/introspection";

process.chdir(import.meta.dirname);
// relay-compiler adds to persisted.json what has changed, and does not create it: begin anew, so that no old document stays.
for (const folder of ["generated/documents", "generated/relay"]) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
}
writeFileSync("generated/persisted.json", "{}");

// The schema for urql's cache: without descriptions, scalars and inputs.
const schema = readFileSync("../../schema.graphql", "utf8");
writeFileSync("generated/schema.json", JSON.stringify(minifyIntrospectionQuery(getIntrospectedSchema(schema))));

run("@graphql-codegen/cli/cjs/bin.js");
run("relay-compiler/cli.js");

// Relay's documents as the server loads them: TRANSFERS_DOCUMENTS is this folder.
const persisted = JSON.parse(readFileSync("generated/persisted.json", "utf8"));
for (const [hash, text] of Object.entries(persisted)) writeFileSync(`generated/documents/${hash}.graphql`, text);

writeFileSync("generated/done", ""); // tests compare its time with that of the sources

function run(script, ...options) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`node_modules/${script}`, ...options], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${script}: ${stdout}${stderr}`);
}
