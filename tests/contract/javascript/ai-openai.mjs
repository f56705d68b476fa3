// The AI SDK with `@ai-sdk/openai`, whose language models speak Responses; embeddings and images.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, tool } from "ai";
import { fetchOf, scenariosOf, usageOf } from "./ai-sdk.mjs";
import { HELLO, SUNNY, WEATHER } from "./prompts.mjs";

export { describe } from "./ai-sdk.mjs";

const providerOf = ({ url, apiKey, call }) =>
  createOpenAI({ baseURL: `${url}/v1`, apiKey, fetch: fetchOf(call) });

export const scenarios = {
  ...scenariosOf(providerOf),

  // Stored, and continued with nothing but the results of its tools; the client does not read or delete.
  async responses(asked) {
    const [first, then] = [asked.model, asked.then].map((id) => providerOf(asked)(id));
    const tools = { get_weather: tool({ inputSchema: jsonSchema(WEATHER) }) };
    const { toolCalls, finalStep } = await generateText({ model: first, prompt: HELLO, tools });
    const results = toolCalls.map(({ toolCallId, toolName }) => ({
      type: "tool-result",
      toolCallId,
      toolName,
      output: { type: "text", value: SUNNY },
    }));
    const { text, usage } = await generateText({
      model: then,
      messages: [{ role: "tool", content: results }],
      tools,
      providerOptions: { openai: { previousResponseId: finalStep.providerMetadata.openai.responseId } },
    });
    const calls = toolCalls.map(({ toolName, input }) => ({ name: toolName, arguments: input }));
    return { calls, text, usage: usageOf(usage) };
  },
};
