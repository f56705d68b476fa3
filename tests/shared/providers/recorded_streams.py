"""Whole streams as servers send them, each with the shape that the named public source documents or shows, and what
they say. Chutes runs vLLM and SGLang and Featherless vLLM: their streams are these servers'.
"""

from dataclasses import dataclass

from tests.shared.providers import recorded


@dataclass(frozen=True, slots=True)
class Recorded:
    """One stream; calls: name and arguments; is_cut: it ended at the bound; has_failed: with the provider's error.

    tokens: of input, what came from a cache or went to one included, and of output; None where it told none
    """

    name: str
    stream: bytes
    text: str = ""
    thoughts: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    tokens: tuple[int, int] | None = None
    is_cut: bool = False
    has_failed: bool = False


def _stream(head: bytes, *events: bytes) -> bytes:
    return b"".join(b"data: {%b,%b}\n\n" % (head, event) for event in events) + b"data: [DONE]\n\n"


# https://api-docs.deepseek.com/guides/reasoning_model, github.com/langchain-ai/langchain/pull/31065 and
# github.com/adolfousier/opencrabs/issues/1128: the first thought is empty, content is null while it thinks and thoughts
# are null while it speaks, usage stands beside the last choice and counts what was cached within prompt_tokens.
_DEEPSEEK = b'"id":"930c60df","object":"chat.completion.chunk","created":1718345013,"model":"deepseek-reasoner"'
DEEPSEEK = Recorded(
    "DeepSeek thinks",
    _stream(
        _DEEPSEEK,
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"logprobs":null,'
        b'"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"content":null,"reasoning_content":"9.8 is"},"logprobs":null,'
        b'"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"content":null,"reasoning_content":" 9.80."},"logprobs":null,'
        b'"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"content":"9.8","reasoning_content":null},"logprobs":null,'
        b'"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"logprobs":null,'
        b'"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":17,"completion_tokens":9,"total_tokens":26,'
        b'"prompt_tokens_details":{"cached_tokens":8},'
        b'"completion_tokens_details":{"reasoning_tokens":6},"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":9}',
    ),
    text="9.8",
    thoughts="9.8 is 9.80.",
    tokens=(17, 9),
)

# github.com/karthink/gptel/pull/592 (DeepSeek behind Envoy): no blank after the colon, no finish_reason until the end.
DEEPSEEK_UNSPACED = Recorded(
    "DeepSeek without blanks",
    b'data:{"model":"deepseek-r1","id":"chatcmpl-7594","choices":[{"index":0,"delta":{"role":"assistant"}}],'
    b'"created":1740552606,"object":"chat.completion.chunk"}\n\n'
    b'data:{"model":"deepseek-r1","id":"chatcmpl-7594","choices":[{"index":0,"delta":{"reasoning_content":"Okay",'
    b'"role":"assistant"}}],"created":1740552606,"object":"chat.completion.chunk"}\n\n'
    b'data:{"model":"deepseek-r1","id":"chatcmpl-7594","choices":[{"index":0,"delta":{"content":"Hi!",'
    b'"role":"assistant"}}],"created":1740552606,"object":"chat.completion.chunk"}\n\n'
    b'data:{"model":"deepseek-r1","id":"chatcmpl-7594","choices":[{"index":0,"delta":{"content":"",'
    b'"role":"assistant"},"finish_reason":"stop"}],"created":1740552606,"object":"chat.completion.chunk"}\n\n'
    b"data:[DONE]\n\n",
    text="Hi!",
    thoughts="Okay",
)

# github.com/sgl-project/sglang/pull/9657 and …/issues/6310: every field is there and null.
_SGLANG = b'"id":"fea45bfa7bbd4209b1e71bdcdcc6c667","object":"chat.completion.chunk","created":1756216933,"model":"m"'
SGLANG = Recorded(
    "SGLang thinks",
    _stream(
        _SGLANG,
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},'
        b'"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null',
        b'"choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":"2+2=","tool_calls":null},'
        b'"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null',
        b'"choices":[{"index":0,"delta":{"role":null,"content":"4","reasoning_content":null,"tool_calls":null},'
        b'"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null',
        b'"choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":null},'
        b'"logprobs":null,"finish_reason":"stop","matched_stop":200002}],"usage":null',
        b'"choices":[],"usage":{"prompt_tokens":70,"total_tokens":90,"completion_tokens":20,'
        b'"prompt_tokens_details":null}',
    ),
    text="4",
    thoughts="2+2=",
    tokens=(70, 20),
)

# github.com/sgl-project/sglang/pull/8417: finish_reason beside the last text, and once more by itself.
SGLANG_ENDS_TWICE = Recorded(
    "SGLang ends twice",
    _stream(
        _SGLANG,
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}],"usage":null',
        b'"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"length","matched_stop":null}],"usage":null',
        b'"choices":[{"index":0,"delta":{"content":null},"finish_reason":"length","matched_stop":null}],"usage":null',
    ),
    text="Hello",
    is_cut=True,
)

# github.com/sgl-project/sglang/issues/7048: a second call without an id; …/issues/4700: a name that is "" instead of
# null.
SGLANG_CALLS = Recorded(
    "SGLang calls without ids",
    _stream(
        _SGLANG,
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"id":"call_a1","index":0,'
        b'"type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":[{"id":null,"index":0,'
        b'"type":"function","function":{"name":"","arguments":"{\\"city\\": \\"Paris\\"}"}}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":[{"id":null,"index":1,'
        b'"type":"function","function":{"name":"get_time","arguments":""}}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":[{"id":null,"index":1,'
        b'"type":"function","function":{"name":null,"arguments":"{\\"tz\\": \\"CET\\"}"}}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":null},"finish_reason":"tool_calls"}]',
    ),
    calls=(("get_weather", '{"city": "Paris"}'), ("get_time", '{"tz": "CET"}')),
)

# github.com/InternLM/lmdeploy/issues/3412 (SGLang): every call has index 0, and its number as the id of each piece.
SGLANG_NUMBERED_CALLS = Recorded(
    "SGLang calls with numbers for ids",
    _stream(
        _SGLANG,
        b'"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"0","type":"function","function":'
        b'{"name":"get_weather","arguments":""}}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"0","type":"function","function":'
        b'{"name":null,"arguments":"{\\"n\\": 1}"}}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","type":"function","function":'
        b'{"name":"get_time","arguments":""}}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","type":"function","function":'
        b'{"name":null,"arguments":"{\\"n\\": 2}"}}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"content":""},"finish_reason":"tool_calls"}]',
    ),
    calls=(("get_weather", '{"n": 1}'), ("get_time", '{"n": 2}')),
)

# docs.vllm.ai serving/openai_compatible_server, github.com/BerriAI/litellm/pull/25410: usage in a chunk of its own,
# without choices, and null before it; stop_reason beside finish_reason.
_VLLM = b'"id":"chatcmpl-8feae74d","object":"chat.completion.chunk","created":1753708419,"model":"Qwen/Qwen3"'
VLLM = Recorded(
    "vLLM tells usage at the end",
    _stream(
        _VLLM,
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,'
        b'"finish_reason":null}],"usage":null',
        b'"choices":[{"index":0,"delta":{"content":"Hel"},"logprobs":null,'
        b'"finish_reason":null,"token_ids":null}],"usage":null',
        b'"choices":[{"index":0,"delta":{"content":"lo"},"logprobs":null,'
        b'"finish_reason":"length","stop_reason":null}],"usage":null',
        b'"choices":[],"usage":{"prompt_tokens":26,"total_tokens":28,"completion_tokens":2,'
        b'"prompt_tokens_details":null}',
    ),
    text="Hello",
    tokens=(26, 2),
    is_cut=True,
)

# github.com/vllm-project/vllm/issues/7262: the usage so far in every chunk.
VLLM_RUNNING_USAGE = Recorded(
    "vLLM tells usage all the time",
    _stream(
        _VLLM,
        b'"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}],'
        b'"usage":{"prompt_tokens":16,"total_tokens":16,"completion_tokens":0}',
        b'"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":null}],'
        b'"usage":{"prompt_tokens":16,"total_tokens":17,"completion_tokens":1}',
        b'"choices":[{"index":0,"delta":{"content":" glare"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":16,"total_tokens":18,"completion_tokens":2}',
        b'"choices":[],"usage":{"prompt_tokens":16,"total_tokens":18,"completion_tokens":2}',
    ),
    text="! glare",
    tokens=(16, 2),
)

# https://docs.mistral.ai/capabilities/reasoning, github.com/symfony/ai/issues/2422 and
# github.com/NousResearch/hermes-agent/pull/94905: content is a list of parts, thoughts among them.
_MISTRAL = (
    b'"id":"cmpl-82b4ad8d","object":"chat.completion.chunk","created":1702637377,"model":"magistral-small-latest"'
)
MISTRAL = Recorded(
    "Mistral's contents are parts",
    _stream(
        _MISTRAL,
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text",'
        b'"text":"Two and"}]}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":" two."}],'
        b'"closed":true}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"4"}]},"finish_reason":null}]',
        b'"choices":[{"index":0,"delta":{"content":"."},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":11,"total_tokens":30,"completion_tokens":19}',
    ),
    text="4.",
    thoughts="Two and two.",
    tokens=(11, 19),
)

# https://docs.portkey.ai/docs/product/guardrails#streaming-responses, github.com/Portkey-AI/docs-core/pull/999: the
# guardrails' results follow [DONE]. Thoughts in content_blocks come only to who asks for them by
# x-portkey-strict-open-ai-compliance: false, which is not sent.
PORTKEY = Recorded(
    "Portkey goes on after the end",
    b'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":1,"model":"gpt-4o","provider":"openai",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"logprobs":null,"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":1,"model":"gpt-4o","provider":"openai",'
    b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
    b'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","choices":[],"hook_results":'
    b'{"before_request_hooks":[],"after_request_hooks":[{"verdict":true,"id":"guard_1"}]}}\n\n',
    text="Hi",
)

# github.com/Portkey-AI/gateway src/providers/anthropic/chatComplete.ts: Anthropic's own words for the end, a call whose
# pieces have no type, usage beside the last choice without what came from the cache.
PORTKEY_ANTHROPIC = Recorded(
    "Portkey speaks for Anthropic",
    b'data: {"id":"msg_01","object":"chat.completion.chunk","created":1,"model":"claude","provider":"anthropic",'
    b'"choices":[{"delta":{"role":"assistant","content":""},"index":0,"logprobs":null,"finish_reason":null}]}\n\n'
    b'data: {"id":"msg_01","object":"chat.completion.chunk","created":1,"model":"claude","provider":"anthropic",'
    b'"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":'
    b'{"name":"get_weather","arguments":""}}]},"index":0,"logprobs":null,"finish_reason":null}]}\n\n'
    b'data: {"id":"msg_01","object":"chat.completion.chunk","created":1,"model":"claude","provider":"anthropic",'
    b'"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\": \\"Paris\\"}"}}]},"index":0,'
    b'"logprobs":null,"finish_reason":null}]}\n\n'
    b'data: {"id":"msg_01","object":"chat.completion.chunk","created":1,"model":"claude","provider":"anthropic",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"tool_use"}],"usage":'
    + recorded.PORTKEY_ANTHROPIC_USAGE
    + b"}\n\n"
    b"data: [DONE]\n\n",
    calls=(("get_weather", '{"city": "Paris"}'),),
    tokens=(1060, 20),
)
PORTKEY_ANTHROPIC_FAILS = Recorded(
    "Portkey tells of Anthropic's error",
    b"data: " + recorded.PORTKEY_ANTHROPIC_ERROR + b"\n\ndata: [DONE]\n\n",
    has_failed=True,
)

# Sources beside the bytes, in recorded.py.
OPENROUTER = Recorded("OpenRouter", recorded.OPENROUTER_STREAM, text="Hello", tokens=(37, 8))
OPENROUTER_FAILS = Recorded(
    "OpenRouter fails in the middle",
    recorded.OPENROUTER_STREAM.partition(b"data: ")[0]
    + b'data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"role":"assistant","content":"Hel"},"finish_reason":null}]}\n\n' + recorded.OPENROUTER_MID_STREAM_ERROR,
    text="Hel",
    has_failed=True,
)
AZURE = Recorded(
    "Azure's first chunk has no choices",
    b"data: " + recorded.AZURE_FIRST_CHUNK + b"\n\n"
    b'data: {"id":"chatcmpl-a","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"Hi","refusal":null},"content_filter_results":{},"finish_reason":null,'
    b'"logprobs":null}],"usage":null}\n\n'
    b'data: {"id":"chatcmpl-a","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{},"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":"stop",'
    b'"logprobs":null}],"usage":null}\n\n'
    b"data: [DONE]\n\n",
    text="Hi",
)
VLLM_FAILS = Recorded(
    "an old vLLM's error is an object by its name",
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"role":"assistant","content":"Hel"},"finish_reason":null}]}\n\n'
    b"data: " + recorded.VLLM_OLD_ERROR_EVENT + b"\n\ndata: [DONE]\n\n",
    text="Hel",
    has_failed=True,
)

ALL = tuple(value for value in globals().values() if isinstance(value, Recorded))
