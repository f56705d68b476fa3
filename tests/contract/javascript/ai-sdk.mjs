// Vercel's AI SDK, the package `ai`, with any of its providers: what differs between them stands in the files beside.
import { APICallError, Output, RetryError, StreamProviderError } from "ai";
import { embedMany, generateImage, generateText, isStepCount, jsonSchema, streamText, tool } from "ai";
import { once } from "./once.mjs";
import { City, HELLO, PIXEL, SUNNY, WEATHER, said } from "./prompts.mjs";

const TOOLS = { get_weather: tool({ inputSchema: jsonSchema(WEATHER), execute: async () => SUNNY }) };

// The client's own, unless the call has a name.
export const fetchOf = (call) => (call ? once(call) : undefined);

export const usageOf = ({ inputTokens, inputTokenDetails, outputTokens, outputTokenDetails, raw }) => ({
  input: inputTokens,
  cached: inputTokenDetails.cacheReadTokens,
  output: outputTokens,
  reasoning: outputTokenDetails.reasoningTokens,
  cost: raw?.cost,
});

const finished = ({ text, toolCalls, finishReason, usage }) =>
  said(text, {
    calls: toolCalls.map(({ toolName, input }) => ({ name: toolName, arguments: input })),
    stop: finishReason,
    usage: usageOf(usage),
  });

// A broken stream comes as a part of it; whoever reads the text alone would take it for the end.
async function read(result) {
  let text = "";
  for await (const part of result.stream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") text += part.text;
  }
  const [toolCalls, finishReason, usage] = await Promise.all([result.toolCalls, result.finishReason, result.usage]);
  return finished({ text, toolCalls, finishReason, usage });
}

// models: asked -> the provider's models; structured: its options for structured output
export const scenariosOf = (models, { structured = {} } = {}) => {
  const common = (asked) => ({
    model: models(asked).languageModel(asked.model),
    maxRetries: asked.maxRetries,
    headers: asked.headers,
    onError: () => {},
  });
  // The client's own loop: it runs the tools and asks again, here a model that answers in words.
  const loop = (asked) => ({
    ...common(asked),
    prompt: HELLO,
    tools: TOOLS,
    stopWhen: isStepCount(2),
    prepareStep: ({ stepNumber }) => (stepNumber ? { model: models(asked).languageModel(asked.then) } : {}),
  });

  return {
    text: async (asked) => finished(await generateText({ ...common(asked), prompt: HELLO, ...asked.fields })),

    stream: async (asked) => await read(streamText({ ...common(asked), prompt: HELLO, ...asked.fields })),

    tools: async (asked) => (await generateText(loop(asked))).steps.map(finished),

    async streamedTools(asked) {
      const result = streamText(loop(asked));
      await read(result);
      return (await result.steps).map(finished);
    },

    async structured(asked) {
      const output = Output.object({ schema: City });
      return (await generateText({ ...common(asked), prompt: HELLO, output, providerOptions: structured })).output;
    },

    async streamedStructured(asked) {
      const output = Output.object({ schema: City });
      const result = streamText({ ...common(asked), prompt: HELLO, output, providerOptions: structured });
      await read(result);
      return await result.output;
    },

    async vision(asked) {
      const content = [{ type: "text", text: HELLO }, { type: "file", mediaType: "image/png", data: PIXEL }];
      return finished(await generateText({ ...common(asked), messages: [{ role: "user", content }] }));
    },

    // Aborts within the stream, as a browser's stop button does.
    async cancel(asked) {
      const button = new AbortController();
      let [pieces, isAborted] = [0, false];
      const options = { ...common(asked), maxOutputTokens: 16_000, abortSignal: button.signal };
      for await (const part of streamText({ ...options, prompt: HELLO }).stream) {
        pieces += part.type === "text-delta" ? 1 : 0;
        isAborted ||= part.type === "abort";
        if (pieces === asked.pieces) button.abort();
      }
      return { pieces, isAborted };
    },

    async embeddings(asked) {
      const { maxRetries, inputs } = asked;
      const model = models(asked).embeddingModel(asked.model);
      const { embeddings, usage } = await embedMany({ model, maxRetries, values: inputs });
      return { vectors: embeddings, usage: { input: usage.tokens } };
    },

    async images(asked) {
      const { maxRetries, n } = asked;
      const model = models(asked).imageModel(asked.model);
      const { images } = await generateImage({ model, maxRetries, n, prompt: HELLO });
      return { images: images.map(({ base64 }) => base64) };
    },
  };
};

export function describe(error) {
  // What was tried several times comes wrapped.
  const [attempts, last] = RetryError.isInstance(error) ? [error.errors.length, error.lastError] : [1, error];
  if (StreamProviderError.isInstance(last)) {
    return { name: "StreamProviderError", status: last.statusCode ?? null, code: last.code ?? null, attempts };
  }
  if (!APICallError.isInstance(last)) return null;
  const { error: body } = last.data ?? {};
  return {
    name: "APICallError",
    status: last.statusCode ?? null,
    code: body?.details?.error_code ?? body?.code ?? null,
    requestId: last.responseHeaders?.["x-request-id"] ?? null,
    isRetryable: last.isRetryable,
    attempts,
  };
}
