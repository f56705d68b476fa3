// The AI SDK with `@ai-sdk/openai-compatible`: chat completions, embeddings and images.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { fetchOf, scenariosOf } from "./ai-sdk.mjs";

export { describe } from "./ai-sdk.mjs";

export const scenarios = scenariosOf(({ url, apiKey, call }) =>
  createOpenAICompatible({
    name: "gateway",
    baseURL: `${url}/v1`,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
    fetch: fetchOf(call),
  }),
);
