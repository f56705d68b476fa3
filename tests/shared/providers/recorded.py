"""Provider quirks as bytes; each has the shape that the named public source documents or shows."""

# https://openrouter.ai/docs/api-reference/streaming and …/use-cases/usage-accounting: comments while it waits, usage
# beside a choice whose finish_reason comes a second time, cost as a JSON number.
OPENROUTER_STREAM = (
    b": OPENROUTER PROCESSING\n\n"
    b": OPENROUTER PROCESSING\n\n"
    b'data: {"id":"gen-1","object":"chat.completion.chunk","created":1778031306,"model":"openai/gpt-4o-mini",'
    b'"provider":"Azure","choices":[{"index":0,"delta":{"content":"Hello","role":"assistant"},"finish_reason":null,'
    b'"native_finish_reason":null}]}\n\n'
    b'data: {"id":"gen-1","object":"chat.completion.chunk","created":1778031306,"model":"openai/gpt-4o-mini",'
    b'"provider":"Azure","choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":"stop",'
    b'"native_finish_reason":"stop"}]}\n\n'
    b'data: {"id":"gen-1","object":"chat.completion.chunk","created":1778031306,"model":"openai/gpt-4o-mini",'
    b'"provider":"Azure","choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":"stop",'
    b'"native_finish_reason":"stop"}],"usage":{"prompt_tokens":37,"completion_tokens":8,"total_tokens":45,'
    b'"cost":0.000007765,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,'
    b'"audio_tokens":0},"cost_details":{"upstream_inference_cost":0.000007765},'
    b'"completion_tokens_details":{"reasoning_tokens":8,"image_tokens":0}}}\n\n'
    b"data: [DONE]\n\n"
)

# https://openrouter.ai/docs/api-reference/streaming#handling-errors-during-streaming
OPENROUTER_MID_STREAM_ERROR = (
    b'data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1234567890,"model":"gpt-3.5-turbo",'
    b'"provider":"openai","error":{"code":429,"message":"slow down, account acct_123"},'
    b'"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n'
)

# https://openrouter.ai/docs/api-reference/errors: a failed completion with status 200, and a moderated prompt.
OPENROUTER_FAILED_COMPLETION = b'{"error":{"code":502,"message":"upstream said: boom","metadata":{"raw":"boom"}}}'
OPENROUTER_MODERATED = (
    b'{"error":{"code":403,"message":"Input was flagged","metadata":{"reasons":["violence"],'
    b'"flagged_input":"the text","provider_name":"OpenAI","model_slug":"openai/gpt-4o"}}}'
)

# github.com/Portkey-AI/gateway src/providers/anthropic/chatComplete.ts: prompt_tokens without what came from the cache,
# finish_reason as Anthropic names it, an error's type as finish_reason.
PORTKEY_ANTHROPIC_USAGE = (
    b'{"completion_tokens":20,"prompt_tokens":10,"cache_read_input_tokens":1000,"cache_creation_input_tokens":50,'
    b'"total_tokens":1080}'
)
PORTKEY_ANTHROPIC_ERROR = (
    b'{"id":"portkey-1","object":"chat.completion.chunk","created":1,"model":"","provider":"anthropic",'
    b'"choices":[{"finish_reason":"overloaded_error","delta":{"content":""}}]}'
)

# docs.vllm.ai openai_compatible_server, protocol.py: reasoning twice, details and completion tokens that may be null.
VLLM_REASONING_CHUNK = (
    b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    b'"delta":{"reasoning":"12345678","reasoning_content":"12345678","tool_calls":[]},"finish_reason":null}]}'
)
VLLM_CONTEXT_LENGTH = (
    b'{"error":{"message":"This model\'s maximum context length is 4096 tokens. However, you requested 5000 tokens.",'
    b'"type":"BadRequestError","param":null,"code":400}}'
)
VLLM_OLD_ERROR_EVENT = b'{"object":"error","message":"internal","type":"InternalServerError","param":null,"code":500}'

# https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter: the first chunk has no choices, and a
# refused prompt is a 400.
AZURE_FIRST_CHUNK = (
    b'{"choices":[],"created":0,"id":"","model":"","object":"",'
    b'"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}'
)
AZURE_FILTERED = b'{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400}}'
