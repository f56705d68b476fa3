// Calls the gateway as a customer's program does, with the official package unchanged, and prints what came of it.
// node openai_client.mjs <scenario>      GATEWAY_URL, GATEWAY_API_KEY and MODEL come from the environment
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.GATEWAY_URL}/v1`, apiKey: process.env.GATEWAY_API_KEY });
const model = process.env.MODEL;
const messages = [{ role: "user", content: "Say something." }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];

const scenarios = {
  async whole() {
    const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
    return {
      content: data.choices[0].message.content,
      usage: data.usage,
      provider: response.headers.get("x-provider"),
      requestId: data._request_id,
    };
  },

  async streamed() {
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let content = "";
    let usage = null;
    for await (const chunk of stream) {
      content += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    return { content, usage };
  },

  async tools() {
    const answer = await client.chat.completions.create({ model, messages, tools });
    return answer.choices[0].message.tool_calls.map((call) => call.function);
  },

  async streamedTools() {
    const stream = client.chat.completions.stream({ model, messages, tools });
    const answer = await stream.finalChatCompletion();
    return answer.choices[0].message.tool_calls.map((call) => call.function);
  },

  async models() {
    const ids = [];
    for await (const each of client.models.list()) ids.push(each.id);
    return ids;
  },

  async model() {
    return (await client.models.retrieve(model)).id;
  },
};

try {
  const answer = await scenarios[process.argv[2]]();
  console.log(JSON.stringify({ answer }));
} catch (error) {
  const { name } = error.constructor;
  console.log(JSON.stringify({ error: name, status: error.status, code: error.code, requestID: error.requestID }));
}
