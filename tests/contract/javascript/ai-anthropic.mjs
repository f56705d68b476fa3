// The AI SDK with `@ai-sdk/anthropic`: Messages.
import { createAnthropic } from "@ai-sdk/anthropic";
import { fetchOf, scenariosOf } from "./ai-sdk.mjs";

export { describe } from "./ai-sdk.mjs";

const providerOf = ({ url, apiKey, call }) =>
  createAnthropic({ baseURL: `${url}/v1`, apiKey, fetch: fetchOf(call) });

// A model that it does not know the client asks for a call of a tool, unless it is told that there are structures.
const byTool = scenariosOf(providerOf);

export const scenarios = {
  ...scenariosOf(providerOf, { structured: { anthropic: { structuredOutputMode: "outputFormat" } } }),
  structuredByTool: byTool.structured,
  streamedStructuredByTool: byTool.streamedStructured,
};
