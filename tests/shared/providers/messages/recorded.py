"""What providers stream, as decoded chunks; each has the shape that the named public source shows, texts shortened."""

from typing import Any

from tests.shared.providers.messages.asking import call, delta

Chunks = list[dict[str, Any]]


def thought(text: str | None = None, *, signature: str | None = None, **fields: object) -> dict[str, Any]:
    """Return a delta as OpenRouter streams thinking: the text twice, the signature by itself."""
    detail: dict[str, Any] = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, **fields}
    if text is not None:
        detail["text"] = text
    if signature is not None:
        detail["signature"] = signature
    return delta(role="assistant", content="", reasoning=text or None, reasoning_details=[detail])


# github.com/charmbracelet/fantasy providertests/testdata/TestOpenRouterThinking/claude-sonnet-4-sig: empty thoughts
# first, the signature alone, a call whose first arguments are empty twice, usage beside an empty choice.
CLAUDE_THINKS_AND_CALLS: Chunks = [
    delta(role="assistant", content="", reasoning=None, reasoning_details=[]),
    thought("", signature=""),
    thought("The user is asking"),
    thought(" for weather."),
    thought(signature="EqcDCkgI+/="),
    delta(role="assistant", content="", reasoning=None, reasoning_details=[]),
    delta(role="assistant", content=None, tool_calls=[call(0, "toolu_vrtx_01", "weather")]),
    delta(role="assistant", content=None, tool_calls=[call(0)]),
    delta(role="assistant", content=None, tool_calls=[call(0, arguments='{"locat')]),
    delta(role="assistant", content=None, tool_calls=[call(0, arguments='ion": "Florence, Italy"}')]),
    delta("tool_calls", role="assistant", content="", reasoning=None, reasoning_details=[]),
    {**delta(role="assistant", content=""), "usage": {"prompt_tokens": 423, "completion_tokens": 110}},
]
CLAUDE_CONTENT = [
    {"type": "thinking", "thinking": "The user is asking for weather.", "signature": "EqcDCkgI+/="},
    {"type": "tool_use", "id": "toolu_vrtx_01", "name": "weather", "input": {"location": "Florence, Italy"}},
]

# …/TestOpenRouterThinking/gemini-3-pro-preview: thoughts in another vendor's format, then one only it can read, named
# like the call it belongs to.
GEMINI_FORMAT = "google-gemini-v1"
GEMINI_THINKS_AND_CALLS: Chunks = [
    thought("**Assessing**\n\n", format=GEMINI_FORMAT),
    thought("**Pinpointing**\n", format=GEMINI_FORMAT),
    delta(
        role="assistant",
        content="",
        reasoning=None,
        reasoning_details=[
            {
                "type": "reasoning.encrypted",
                "data": "CiUBjz1rX+QN==",
                "format": GEMINI_FORMAT,
                "id": "tool_weather_wJM",
                "index": 0,
            }
        ],
    ),
    delta(role="assistant", content=None, tool_calls=[call(0, "tool_weather_wJM", "weather")]),
    delta(role="assistant", content=None, tool_calls=[call(0, arguments='{"location":"Florence, Italy"}')]),
    delta("tool_calls", role="assistant", content="", reasoning=None),
    {"choices": [], "usage": {"prompt_tokens": 28, "completion_tokens": 120}},
]

# github.com/vllm-project/vllm issue 18412: the name again in every piece, and never an id.
VLLM_NAME_IN_EVERY_PIECE: Chunks = [
    delta(role="assistant", content=""),
    delta(tool_calls=[call(0, name="get_current_weather", arguments='{"')]),
    delta(tool_calls=[call(0, name="get_current_weather", arguments="location")]),
    delta(tool_calls=[call(0, name="get_current_weather", arguments='": "Paris"}')]),
    delta("tool_calls", content=""),
]

# github.com/ai-dynamo/dynamo pull 4723, github.com/omnigent-ai/omnigent pull 28: every call has index 0.
ALL_CALLS_INDEX_0: Chunks = [
    delta(tool_calls=[call(0, "call_1", "get_weather", '{"city":"London"}')]),
    delta(tool_calls=[call(0, "call_2", "get_time", '{"tz":"UTC"}')]),
    delta("stop", content=""),
]

# github.com/open-webui/computer issue 224: Gemini's own endpoint names no index and ends with "stop".
GEMINI_WITHOUT_INDEX: Chunks = [
    delta(role="assistant", tool_calls=[call(None, "function-call-1", "get_weather", '{"location":')]),
    delta(tool_calls=[call(None, arguments='"Sydney"}')]),
    delta(tool_calls=[call(None, "function-call-2", "get_time", "{}")]),
    delta("stop", content=""),
]

# github.com/BerriAI/litellm pull 37792: Ollama's arguments are an object, whole, and it ends with "stop".
OLLAMA_ARGUMENTS_AS_OBJECT: Chunks = [
    delta(role="assistant", content="", tool_calls=[call(0, "call_1", "get_weather", {"city": "Paris"})]),
    delta("stop", content=""),
]

# docs.vllm.ai reasoning outputs: a thought under its old and its new name.
VLLM_REASONING_TWICE: Chunks = [
    delta(role="assistant", content=""),
    delta(reasoning="Let me ", reasoning_content="Let me "),
    delta(reasoning="see.", reasoning_content="see."),
    delta(content="42"),
    delta("stop", content=""),
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}},
]

# docs.mistral.ai reasoning: contents as parts.
MISTRAL_PARTS: Chunks = [
    delta(role="assistant", content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]),
    delta(content=[{"type": "text", "text": "4"}]),
    delta(content="2"),
    delta("stop", content=""),
]

# https://openrouter.ai/docs/api-reference/streaming: the end is said twice.
OPENROUTER_ENDS_TWICE: Chunks = [
    delta(role="assistant", content="Hello"),
    delta("length", content=""),
    {**delta("stop", content=""), "usage": {"prompt_tokens": 37, "completion_tokens": 8}},
]

ALL = {
    name: chunks
    for name, chunks in globals().items()
    if name.isupper() and isinstance(chunks, list) and chunks and "choices" in chunks[0]
}
