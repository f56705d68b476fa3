"""Fields that cost extra or route elsewhere."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.request_fields import FIELD_RULES, UnpricedField, refuse_unpriced_fields, without_listed_fields

PLAIN: dict[str, Any] = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def content(*parts: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"plugins": "web"}, "plugins"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"search_parameters": {"mode": "auto"}}, "search_parameters"),
        ({"enable_search": True}, "enable_search"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"modalities": ["image"]}, "modalities"),
        ({"modalities": "text"}, "modalities"),
        ({"image_config": {"aspect_ratio": "1:1"}}, "image_config"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"service_tier": ["auto"]}, "service_tier"),
        ({"speed": "fast"}, "speed"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"mcp_servers": [{"url": "https://x"}]}, "mcp_servers"),
        ({"best_of": 4}, "best_of"),
        ({"best_of": True}, "best_of"),
        ({"use_beam_search": True}, "use_beam_search"),
        ({"route": "cheapest"}, "route"),
        ({"preset": "mine"}, "preset"),
        ({"priority": -1}, "priority"),
        ({"kv_transfer_params": {}}, "kv_transfer_params"),
        ({"logits_processors": ["os.system"]}, "logits_processors"),
        ({"model": "openai/gpt-4o:online"}, "model"),
        ({"model": "openai/gpt-4o:NITRO"}, "model"),
        ({"model": "openai/gpt-4o:floor"}, "model"),
        ({"model": "openai/gpt-4o:free:exacto"}, "model"),
        ({"model": "@preset/mine"}, "model"),
        ({"model": "openai/gpt-4o@preset/mine"}, "model"),
        ({"models": ["openai/gpt-4o", "x/y:online"]}, "models[1]"),
        ({"tools": [{"type": "function", "function": {}}, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "openrouter:web_search"}]}, "tools[0].type"),
        ({"tools": [None, {"googleSearch": {}}]}, "tools[1].type"),
        ({"tools": [{"type": ["function"]}]}, "tools[0].type"),
        (
            content({"type": "text", "text": "x"}, {"type": "input_audio", "input_audio": {}}),
            "messages[0].content[1].type",
        ),
        (content({"type": "file", "file": {}}), "messages[0].content[0].type"),
        (content({"type": "video_url", "video_url": {}}), "messages[0].content[0].type"),
        (content({"type": "brand_new"}), "messages[0].content[0].type"),
        (content({"audio_url": "https://x/a.wav"}), "messages[0].content[0].type"),
        (content({"type": "text", "text": "x", "video_url": "https://x"}), "messages[0].content[0].video_url"),
        (content({"type": {}, "text": "x"}), "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "messages[0].audio"),
        (
            content({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
            "messages[0].content[0].cache_control.ttl",
        ),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "cache_control.ttl"),
        (
            {"tools": [{"type": "function", "function": {}, "cache_control": {"ttl": "1h"}}]},
            "tools[0].cache_control.ttl",
        ),
    ],
)
def test_what_has_no_price_is_refused_by_name(extra: dict[str, Any], param: str) -> None:
    with pytest.raises(UnpricedField) as refused:
        refuse_unpriced_fields(PLAIN | extra)
    assert refused.value.param == param
    assert (refused.value.status, refused.value.code) == (400, "unsupported_parameter")
    assert param in refused.value.message


@pytest.mark.parametrize(
    "extra",
    [
        {"plugins": None},
        {"plugins": []},
        {"modalities": ["text"]},
        {"service_tier": "auto"},
        {"service_tier": "default"},
        {"service_tier": "standard"},
        {"service_tier": None},
        {"best_of": 1},
        {"use_beam_search": False},
        {"route": "fallback"},
        {"store": True},
        {"prediction": {"type": "content", "content": "x"}},
        {"model": "meta-llama/llama-3.3-70b-instruct:free"},
        {"model": "anthropic/claude-3.7-sonnet:thinking"},
        {"model": 7, "models": "x"},
        {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]},
        {"tools": [{"function": {"name": "f"}}]},
        content(
            {"type": "image_url", "image_url": {"url": "data:"}}, {"type": "text", "text": "x"}, {"type": "refusal"}
        ),
        content({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}),
        content({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "5m"}}),
        {"messages": [{"role": "assistant", "content": None, "audio": None, "tool_calls": []}]},
        {
            "response_format": {"type": "json_object"},
            "logprobs": True,
            "reasoning": {"effort": "high"},
            "transforms": [],
        },
    ],
)
def test_what_is_priced_or_asks_for_nothing_passes(extra: dict[str, Any]) -> None:
    refuse_unpriced_fields(PLAIN | extra)


@given(st.dictionaries(st.sampled_from([rule.name for rule in FIELD_RULES]), st.none() | st.booleans() | st.text()))
def test_no_listed_field_reaches_a_provider_but_the_allowed(body: dict[str, Any]) -> None:
    assert set(without_listed_fields(body)) <= {"prediction"}


def test_every_rule_says_why_and_where_from() -> None:
    assert len({rule.name for rule in FIELD_RULES}) == len(FIELD_RULES)
    assert all(rule.reason and rule.source for rule in FIELD_RULES)


@given(st.text(max_size=60))
def test_refusal_never_repeats_text_that_could_be_a_prompt(kind: str) -> None:
    try:
        refuse_unpriced_fields(content({"type": kind}))
    except UnpricedField as refused:
        assert len(refused.message) < 200
        assert refused.message.isprintable()
