// Calls the gateway as customers' programs do, with the packages unchanged, and tells what came of it.
// In, a line of JSON each: {id, client, scenario, url, apiKey, model, …}. Out: {id, answer} or {id, error}; what is
// the script's own slip, and no error of the client's, comes as {id, trace}. The scenario `version` is of each client.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...asked } = JSON.parse(line);
  run(asked).then((told) => console.log(JSON.stringify({ id, ...told })));
}

async function run({ client, scenario, ...asked }) {
  const { scenarios, describe } = await import(`./${client}.mjs`);
  try {
    return { answer: await (scenario === "version" ? versionOf(asked.package) : scenarios[scenario](asked)) };
  } catch (error) {
    const described = describe(error);
    return described ? { error: described } : { trace: error.stack };
  }
}

// The version of the package that an import finds.
async function versionOf(name) {
  const found = import.meta.resolve(name);
  const folder = `/node_modules/${name}/`;
  const root = found.slice(0, found.lastIndexOf(folder)) + folder;
  return JSON.parse(await readFile(new URL("package.json", root))).version;
}
