// The package `openai`: chat completions, Responses, embeddings and images.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { City, HELLO, PIXEL, SUNNY, WEATHER, said } from "./prompts.mjs";

const messages = [{ role: "user", content: HELLO }];
const tools = [{ type: "function", function: { name: "get_weather", parameters: WEATHER } }];

const clientOf = ({ url, apiKey, maxRetries, headers }) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries, defaultHeaders: headers });

const usageOf = (usage) =>
  usage && {
    input: usage.prompt_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens,
    output: usage.completion_tokens,
    reasoning: usage.completion_tokens_details?.reasoning_tokens,
    cost: usage.cost,
  };

const callOf = ({ function: { name, arguments: text } }) => ({ name, arguments: JSON.parse(text) });

const completed = ({ choices: [{ message, finish_reason }], usage }) =>
  said(message.content, {
    calls: (message.tool_calls ?? []).map(callOf),
    stop: finish_reason,
    usage: usageOf(usage),
  });

const turnsAfter = (message) => [
  ...messages,
  message,
  ...message.tool_calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: SUNNY })),
];

// The client's own loop runs the tool and asks again, here twice.
async function loop(asked, options) {
  const [inputs, stops] = [[], []];
  const run = (input) => (inputs.push(input), SUNNY);
  const weather = { ...tools[0].function, description: "The weather.", parse: JSON.parse, function: run };
  const request = { model: asked.model, messages, tools: [{ type: "function", function: weather }], ...options };
  const runner = clientOf(asked).chat.completions.runTools(request, { maxChatCompletions: 2 });
  runner.on("chatCompletion", ({ choices: [{ finish_reason }] }) => stops.push(finish_reason));
  await runner.done();
  return { inputs, stops };
}

export const scenarios = {
  async text(asked) {
    const { model, fields } = asked;
    return completed(await clientOf(asked).chat.completions.create({ model, messages, ...fields }));
  },

  async stream(asked) {
    const { model, fields } = asked;
    const options = { stream: true, stream_options: { include_usage: true } };
    const chunks = await clientOf(asked).chat.completions.create({ model, messages, ...options, ...fields });
    let [text, stop, usage] = ["", null, null];
    for await (const chunk of chunks) {
      text += chunk.choices[0]?.delta?.content ?? "";
      stop = chunk.choices[0]?.finish_reason ?? stop;
      usage = chunk.usage ?? usage;
    }
    return said(text, { stop, usage: usageOf(usage) });
  },

  async tools(asked) {
    const completions = clientOf(asked).chat.completions;
    const first = await completions.create({ model: asked.model, messages, tools });
    const { message } = first.choices[0];
    const then = await completions.create({ model: asked.then, messages: turnsAfter(message), tools });
    return [completed(first), completed(then)];
  },

  async streamedTools(asked) {
    const completions = clientOf(asked).chat.completions;
    const first = await completions.stream({ model: asked.model, messages, tools }).finalChatCompletion();
    const { message } = first.choices[0];
    const turns = { model: asked.then, messages: turnsAfter(message), tools };
    const then = await completions.stream(turns).finalChatCompletion();
    return [completed(first), completed(then)];
  },

  toolLoop: (asked) => loop(asked),

  streamedToolLoop: (asked) => loop(asked, { stream: true }),

  async structured(asked) {
    const response_format = zodResponseFormat(City, "city");
    const answer = await clientOf(asked).chat.completions.parse({ model: asked.model, messages, response_format });
    return answer.choices[0].message.parsed;
  },

  async streamedStructured(asked) {
    const response_format = zodResponseFormat(City, "city");
    const stream = clientOf(asked).chat.completions.stream({ model: asked.model, messages, response_format });
    return (await stream.finalChatCompletion()).choices[0].message.parsed;
  },

  async vision(asked) {
    const image_url = { url: `data:image/png;base64,${PIXEL}` };
    const content = [{ type: "text", text: HELLO }, { type: "image_url", image_url }];
    const seen = [{ role: "user", content }];
    return completed(await clientOf(asked).chat.completions.create({ model: asked.model, messages: seen }));
  },

  // Aborts within the stream, as a browser's stop button does.
  async cancel(asked) {
    const stream = await clientOf(asked).chat.completions.create({ model: asked.model, messages, stream: true });
    let pieces = 0;
    for await (const chunk of stream) {
      pieces += chunk.choices[0]?.delta?.content ? 1 : 0;
      if (pieces === asked.pieces) stream.controller.abort();
    }
    return { pieces };
  },

  async embeddings(asked) {
    const { data, usage } = await clientOf(asked).embeddings.create({ model: asked.model, input: asked.inputs });
    return { vectors: data.map(({ embedding }) => embedding), usage: { input: usage.prompt_tokens, cost: usage.cost } };
  },

  async images(asked) {
    const { data, usage } = await clientOf(asked).images.generate({ model: asked.model, prompt: HELLO, n: asked.n });
    return { images: data.map(({ b64_json }) => b64_json), cost: usage.cost };
  },

  // Stored, continued with the results of its tools, read again and deleted.
  async responses(asked) {
    const { responses } = clientOf(asked);
    const functions = [{ type: "function", name: "get_weather", parameters: WEATHER, strict: true }];
    const first = await responses.create({ model: asked.model, input: HELLO, tools: functions });
    const calls = first.output.filter(({ type }) => type === "function_call");
    const stream = responses.stream({
      model: asked.then,
      previous_response_id: first.id,
      input: calls.map(({ call_id }) => ({ type: "function_call_output", call_id, output: SUNNY })),
      tools: functions,
    });
    const numbers = [];
    for await (const event of stream) numbers.push(event.sequence_number);
    const then = await stream.finalResponse();
    const read = await responses.retrieve(then.id);
    await responses.delete(then.id);
    const left = await responses.retrieve(then.id).catch((error) => describe(error));
    return {
      calls: calls.map(({ name, arguments: text }) => ({ name, arguments: JSON.parse(text) })),
      numbers,
      text: then.output_text,
      readText: read.output_text,
      usage: { input: then.usage.input_tokens, output: then.usage.output_tokens, cost: then.usage.cost },
      left,
    };
  },

  async structuredResponse(asked) {
    const text = { format: zodTextFormat(City, "city") };
    return (await clientOf(asked).responses.parse({ model: asked.model, input: HELLO, text })).output_parsed;
  },

  async models(asked) {
    const { models } = clientOf(asked);
    const ids = [];
    for await (const { id } of models.list()) ids.push(id);
    return { ids, found: (await models.retrieve(asked.model)).id };
  },
};

export function describe(error) {
  if (!(error instanceof OpenAI.OpenAIError)) return null;
  const { status = null, code = null, requestID = null } = error;
  return { name: error.constructor.name, status, code, requestId: requestID };
}
