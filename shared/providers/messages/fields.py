"""The one list of top-level fields of a Messages request, and what becomes of each."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from shared.providers.messages.checks import invalid, unsayable
from shared.providers.request_fields import UnpricedField

# become: written in chat's words; keep: the same in both; refuse: chat cannot say it, or it has no price.
FieldAction = Literal["become", "keep", "refuse"]

_REFERENCE = "https://platform.claude.com/docs/en/api/messages"
_CONTRACT = "our own contract"


class ThreadUnsupported(UnpricedField):
    """The request asks for a conversation that the server holds; told so, Anthropic's own tool loops send all of it.

    source  anthropic-python 2.12 and @anthropic-ai/sdk 1.12: their tool runners open a thread and leave it on this code
    """

    code = "thread_unsupported_request"
    advice = (
        "A Messages request names a `thread`; conversations are not held here, send all messages. Anthropic's clients "
        "do so by themselves."
    )


class MessageField(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one field.

    note: what it becomes, or why it is refused; harmless: values that ask for nothing, dropped as null always is
    """

    name: str
    action: FieldAction
    note: str = ""
    source: str = _REFERENCE
    harmless: tuple[object, ...] = ()


MESSAGE_FIELDS: tuple[MessageField, ...] = (
    MessageField(name="model", action="keep"),
    MessageField(name="messages", action="become", note="messages"),
    MessageField(name="system", action="become", note="the first message, of role system"),
    MessageField(name="max_tokens", action="keep"),
    MessageField(name="stop_sequences", action="become", note="stop"),
    MessageField(name="stream", action="keep"),
    MessageField(name="temperature", action="keep"),
    MessageField(name="top_p", action="keep"),
    MessageField(name="top_k", action="keep"),
    MessageField(name="metadata", action="become", note="user, from user_id"),
    MessageField(name="tools", action="become", note="function tools"),
    MessageField(name="tool_choice", action="become", note="tool_choice and parallel_tool_calls"),
    MessageField(
        name="thinking",
        action="become",
        note="reasoning",
        source="https://openrouter.ai/docs/use-cases/reasoning-tokens",
    ),
    MessageField(
        name="output_config",
        action="become",
        note="response_format from format; reasoning.effort or verbosity from effort",
        source="https://openrouter.ai/docs/guides/guides/model-migrations/claude-4-6",
    ),
    MessageField(
        name="output_format",
        action="become",
        note="response_format: output_config.format as its beta named it",
        source="https://platform.claude.com/docs/en/build-with-claude/structured-outputs",
    ),
    MessageField(
        name="cache_control",
        action="keep",
        source="https://openrouter.ai/docs/client-sdks/typescript/models/anthropiccachecontroldirective.md",
    ),
    # The gateway's own, as in chat.
    MessageField(name="models", action="keep", source=_CONTRACT),
    MessageField(name="provider", action="keep", source=_CONTRACT),
    MessageField(
        name="session_id", action="refuse", note="sessions are for chat completions and responses", source=_CONTRACT
    ),
    # Charged apart, or kept at the provider.
    MessageField(
        name="service_tier",
        action="refuse",
        note="other tiers have other prices",
        harmless=("auto", "standard_only"),
    ),
    MessageField(name="speed", action="refuse", note="fast mode is charged several times over", harmless=("standard",)),
    MessageField(name="inference_geo", action="refuse", note="a region has its own price"),
    MessageField(name="container", action="refuse", note="containers are the provider's and charged apart"),
    MessageField(
        name="mcp_servers",
        action="refuse",
        note="the provider would call servers on its own and charge for it",
        harmless=([],),
    ),
    MessageField(
        name="context_management",
        action="refuse",
        note="the conversation cannot be edited on its way; send it as it shall be read",
        # What Claude Code sends: it clears nothing.
        harmless=(
            {},
            {"edits": []},
            {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        ),
    ),
    MessageField(name="compaction", action="refuse", note="conversations are not summarised here"),
    MessageField(name="thread", action="refuse", note="conversations are not stored here; send all messages"),
    MessageField(name="fallbacks", action="refuse", note="name them in 'models'", harmless=([],)),
    MessageField(name="fallback_credit_token", action="refuse", note="such credits are Anthropic's own"),
    MessageField(name="billing_policy", action="refuse", note="a request is charged to its key"),
    MessageField(
        name="diagnostics",
        action="refuse",
        note="the provider's cache is not reported on",
        harmless=({}, {"previous_message_id": None}),
    ),
)

_RULES = {field.name: field for field in MESSAGE_FIELDS}


def refuse_unsayable_fields(body: Mapping[str, Any]) -> None:
    """Refuse what chat cannot say, and fields that are not in the list, so that nothing is dropped without a word.

    raises  UnpricedField, InvalidRequest, naming the field
    """
    for name, value in body.items():
        if value is None:
            continue
        rule = _RULES.get(name)
        if rule is None:
            raise invalid(name, "is not a field of the Messages API")
        if name == "thread":
            raise ThreadUnsupported(f"'thread' cannot be used here: {rule.note}.", param="thread")
        if rule.action == "refuse" and value not in rule.harmless:
            raise unsayable(name, rule.note)
