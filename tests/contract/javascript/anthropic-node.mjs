// The package `@anthropic-ai/sdk`: Messages.
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { City, HELLO, PIXEL, SUNNY, WEATHER, said } from "./prompts.mjs";

const messages = [{ role: "user", content: HELLO }];
const tools = [{ name: "get_weather", input_schema: WEATHER }];
const max_tokens = 200;

const clientOf = ({ url, apiKey, maxRetries, headers }) =>
  new Anthropic({ baseURL: url, apiKey, authToken: null, maxRetries, defaultHeaders: headers });

const textOf = (content) => content.map(({ type, text }) => (type === "text" ? text : "")).join("");

const callsOf = (content) => content.filter(({ type }) => type === "tool_use");

// Anthropic counts what came from the cache apart, and hidden reasoning as output.
const usageOf = ({ input_tokens, cache_read_input_tokens, output_tokens, output_tokens_details, cost }) => ({
  input: input_tokens + cache_read_input_tokens,
  cached: cache_read_input_tokens,
  output: output_tokens,
  reasoning: output_tokens_details?.thinking_tokens,
  cost,
});

const answered = ({ content, stop_reason, usage }) =>
  said(textOf(content), {
    calls: callsOf(content).map(({ name, input }) => ({ name, arguments: input })),
    stop: stop_reason,
    usage: usageOf(usage),
  });

const resultOf = ({ id }) => ({ type: "tool_result", tool_use_id: id, content: SUNNY });

const turnsAfter = (content) => [
  ...messages,
  { role: "assistant", content },
  { role: "user", content: callsOf(content).map(resultOf) },
];

// The client's own loop runs the tool and asks again, here twice. It opens a thread first, and leaves it when refused.
async function loop(asked, read, options) {
  const inputs = [];
  const run = (input) => (inputs.push(input), SUNNY);
  const weather = betaTool({ name: "get_weather", description: "The weather.", inputSchema: WEATHER, run });
  const request = { model: asked.model, max_tokens, messages, tools: [weather], max_iterations: 2, ...options };
  const turns = clientOf(asked).beta.messages.toolRunner(request);
  const stops = [];
  for await (const turn of turns) stops.push((await read(turn)).stop_reason);
  return { inputs, stops };
}

export const scenarios = {
  async text(asked) {
    const request = { model: asked.model, max_tokens, messages, ...asked.fields };
    return answered(await clientOf(asked).messages.create(request));
  },

  async stream(asked) {
    const stream = clientOf(asked).messages.stream({ model: asked.model, max_tokens, messages, ...asked.fields });
    let [text, cost] = ["", null];
    stream.on("text", (piece) => (text += piece));
    // What the client puts together leaves out what Anthropic does not name.
    stream.on("streamEvent", ({ type, usage }) => (cost = type === "message_delta" ? usage.cost : cost));
    const message = await stream.finalMessage();
    const final = answered({ ...message, usage: { ...message.usage, cost } });
    if (text !== final.text) throw new Error(`pieces ${text} are not the whole ${final.text}`);
    return final;
  },

  async tools(asked) {
    const client = clientOf(asked);
    const first = await client.messages.create({ model: asked.model, max_tokens, messages, tools });
    const turns = { model: asked.then, max_tokens, messages: turnsAfter(first.content), tools };
    return [answered(first), answered(await client.messages.create(turns))];
  },

  async streamedTools(asked) {
    const client = clientOf(asked);
    const first = await client.messages.stream({ model: asked.model, max_tokens, messages, tools }).finalMessage();
    const turns = { model: asked.then, max_tokens, messages: turnsAfter(first.content), tools };
    return [answered(first), answered(await client.messages.stream(turns).finalMessage())];
  },

  toolLoop: (asked) => loop(asked, (message) => message),

  streamedToolLoop: (asked) => loop(asked, (stream) => stream.finalMessage(), { stream: true }),

  async structured(asked) {
    const output_config = { format: zodOutputFormat(City) };
    const answer = await clientOf(asked).messages.parse({ model: asked.model, max_tokens, messages, output_config });
    return answer.parsed_output;
  },

  async streamedStructured(asked) {
    const output_config = { format: zodOutputFormat(City) };
    const stream = clientOf(asked).messages.stream({ model: asked.model, max_tokens, messages, output_config });
    return (await stream.finalMessage()).parsed_output;
  },

  async vision(asked) {
    const source = { type: "base64", media_type: "image/png", data: PIXEL };
    const content = [{ type: "text", text: HELLO }, { type: "image", source }];
    const seen = [{ role: "user", content }];
    return answered(await clientOf(asked).messages.create({ model: asked.model, max_tokens, messages: seen }));
  },

  // Aborts within the stream, as a browser's stop button does.
  async cancel(asked) {
    const request = { model: asked.model, max_tokens: 16_000, messages, stream: true };
    const stream = await clientOf(asked).messages.create(request);
    let pieces = 0;
    for await (const event of stream) {
      pieces += event.type === "content_block_delta" ? 1 : 0;
      if (pieces === asked.pieces) stream.controller.abort();
    }
    return { pieces };
  },

  async countTokens(asked) {
    return await clientOf(asked).messages.countTokens({ model: asked.model, messages });
  },
};

export function describe(error) {
  if (!(error instanceof Anthropic.AnthropicError)) return null;
  const { status = null, type = null, requestID = null } = error;
  const code = error.error?.error?.details?.error_code ?? null;
  return { name: error.constructor.name, status, code, type, requestId: requestID };
}
