"""Provider streams of the shapes that the named public sources show, for the Responses dialect."""

# github.com/huggingface/responses.js pull 19: reasoning in `reasoning`, beside an empty content and empty details.
OPENROUTER_REASONING = (
    b": OPENROUTER PROCESSING\n\n"
    b'data: {"id":"gen-1753977105","provider":"Azure","model":"deepseek/deepseek-r1","object":"chat.completion.chunk",'
    b'"created":1753977105,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Okay",'
    b'"reasoning_details":[]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}\n\n'
    b'data: {"id":"gen-1753977105","provider":"Azure","model":"deepseek/deepseek-r1","object":"chat.completion.chunk",'
    b'"created":1753977105,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":", so I need",'
    b'"reasoning_details":[]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}\n\n'
    b'data: {"id":"gen-1753977105","provider":"Azure","model":"deepseek/deepseek-r1","object":"chat.completion.chunk",'
    b'"created":1753977105,"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi!","reasoning":null},'
    b'"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}\n\n'
    b'data: {"id":"gen-1753977105","provider":"Azure","model":"deepseek/deepseek-r1","object":"chat.completion.chunk",'
    b'"created":1753977105,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop",'
    b'"native_finish_reason":"stop","logprobs":null}]}\n\n'
    b"data: [DONE]\n\n"
)

# https://openrouter.ai/docs/use-cases/reasoning-tokens (reasoning_details: summary, text with signature, encrypted; the
# same text in `reasoning`).
OPENROUTER_SUMMARY_AND_ENCRYPTED = (
    b'data: {"id":"gen-2","object":"chat.completion.chunk","created":1,"model":"openai/gpt-5","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"","reasoning":"**Adding","reasoning_details":[{"type":'
    b'"reasoning.summary","summary":"**Adding","format":"openai-responses-v1","index":0}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"gen-2","object":"chat.completion.chunk","created":1,"model":"openai/gpt-5","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"","reasoning":" up**","reasoning_details":[{"type":'
    b'"reasoning.summary","summary":" up**","format":"openai-responses-v1","index":0}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"gen-2","object":"chat.completion.chunk","created":1,"model":"openai/gpt-5","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"","reasoning_details":[{"type":"reasoning.encrypted","data":"gAAAAAB",'
    b'"id":"rs_0d13f4","format":"openai-responses-v1","index":0}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"gen-2","object":"chat.completion.chunk","created":1,"model":"openai/gpt-5","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"4"},"finish_reason":null}]}\n\n'
    b'data: {"id":"gen-2","object":"chat.completion.chunk","created":1,"model":"openai/gpt-5","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"gen-2","object":"chat.completion.chunk","created":1,"model":"openai/gpt-5","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,'
    b'"completion_tokens":9,"total_tokens":14}}\n\n'
    b"data: [DONE]\n\n"
)
OPENROUTER_SIGNED_THOUGHTS = (
    b'data: {"id":"gen-3","object":"chat.completion.chunk","created":1,"model":"claude","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"","reasoning":"Let me","reasoning_details":[{"type":"reasoning.text",'
    b'"text":"Let me","format":"anthropic-claude-v1","index":0}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"gen-3","object":"chat.completion.chunk","created":1,"model":"claude","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"","reasoning":" look","reasoning_details":[{"type":"reasoning.text",'
    b'"text":" look","format":"anthropic-claude-v1","index":0}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"gen-3","object":"chat.completion.chunk","created":1,"model":"claude","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"","reasoning":null,"reasoning_details":[{"type":"reasoning.text",'
    b'"signature":"ErUBCkYI","format":"anthropic-claude-v1","index":0}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"gen-3","object":"chat.completion.chunk","created":1,"model":"claude","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":null,"tool_calls":[{"id":"toolu_01","index":0,"type":"function",'
    b'"function":{"name":"look","arguments":""}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"gen-3","object":"chat.completion.chunk","created":1,"model":"claude","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"type":"function","function":{"arguments":'
    b'"{\\"at\\": 1}"}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"gen-3","object":"chat.completion.chunk","created":1,"model":"claude","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls"}]}\n\n'
    b"data: [DONE]\n\n"
)

# https://platform.openai.com/docs/guides/function-calling (streaming): two calls, id and name in the first piece only.
OPENAI_PARALLEL_CALLS = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":null},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{"tool_calls":[{"index":0,"id":"call_DdmO9pD3xa9XTPNJ32zg2hcA","type":"function","function":{"name":'
    b'"get_weather","arguments":""}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"location\\":"}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\"Paris, France\\"}"}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"get_time","arguments":""}}]}'
    b',"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{},"finish_reason":"tool_calls"}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[],"usage":'
    b'{"prompt_tokens":82,"completion_tokens":17,"total_tokens":99}}\n\n'
    b"data: [DONE]\n\n"
)

# github.com/InternLM/lmdeploy/issues/3412 (vLLM): the second call has index 0 too; later pieces have an empty id.
VLLM_ALL_CALLS_ZERO = (
    b'data: {"id":"chatcmpl-2","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"tool_calls":[{"index":0,"id":"chatcmpl-tool-c9","type":"function","function":{"name":"func_name","arguments":'
    b'""}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-2","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"tool_calls":[{"index":0,"id":"","type":"function","function":{"name":null,"arguments":"{\\"n\\":1}"}}]},'
    b'"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-2","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"tool_calls":[{"index":0,"id":"chatcmpl-tool-Hf","type":"function","function":{"name":"func_name","arguments":'
    b'""}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-2","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"tool_calls":[{"index":0,"id":"","type":"function","function":{"name":null,"arguments":"{\\"n\\":2}"}}]},'
    b'"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-2","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"content":""},"finish_reason":"tool_calls","stop_reason":null}]}\n\n'
    b"data: [DONE]\n\n"
)

# github.com/vllm-project/vllm/issues/44098: the last piece says id, type and name again, beside the finish_reason.
VLLM_REPEATED_NAME = (
    b'data: {"id":"chat-3","object":"chat.completion.chunk","created":1,"model":"g","choices":[{"index":0,"delta":'
    b'{"role":"assistant","content":"","reasoning":"Hm","reasoning_content":"Hm"},"finish_reason":null}]}\n\n'
    b'data: {"id":"chat-3","object":"chat.completion.chunk","created":1,"model":"g","choices":[{"index":0,"delta":'
    b'{"tool_calls":[{"index":0,"id":"chatcmpl-tool-1","type":"function","function":{"name":"glob","arguments":'
    b'"{\\"path\\":"}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"chat-3","object":"chat.completion.chunk","created":1,"model":"g","choices":[{"index":0,"delta":'
    b'{"tool_calls":[{"index":0,"id":"chatcmpl-tool-2","type":"function","function":{"name":"glob","arguments":'
    b'"\\"src\\"}"}}]},"finish_reason":"tool_calls"}]}\n\n'
    b"data: [DONE]\n\n"
)
