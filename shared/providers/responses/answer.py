"""A whole chat completion as a response."""

from collections.abc import Mapping
from typing import Any

from shared.providers.priced import Priced
from shared.providers.responses.output import (
    Ending,
    IncompleteReason,
    Item,
    Opening,
    call_item,
    incomplete_reason,
    message_item,
    priced_json,
    reasoning_item,
    response_object,
    text_part,
)
from shared.providers.responses.reasoning import Details, merge_details, read_details, read_thoughts, seal_details
from shared.providers.responses.said import read_annotations, read_calls, read_logprobs, read_refusal, read_text
from shared.providers.usage import UsageReport


def to_response(
    completion: Mapping[str, Any], opening: Opening, echo: Mapping[str, Any], usage: UsageReport | None, *, now: int
) -> tuple[Priced, dict[str, Any]]:
    """Return the response's JSON, with the place of its cost, and the response without its usage for whoever stores it.

    shape   completion: decoded by json, which alone reads halves of emoji; now: seconds since 1970
    """
    choices = completion.get("choices")
    choice = next((entry for entry in choices or () if isinstance(entry, Mapping)), {})
    reason = incomplete_reason(choice.get("finish_reason"))
    output = output_items(choice, opening, reason)
    ending = Ending(
        status="completed" if reason is None else "incomplete",
        completed_at=now if reason is None else None,
        incomplete_reason=reason,
    )
    response = response_object(opening, echo, output, ending)
    return priced_json(response, usage, around=(b"", b"")), response


def output_items(choice: Mapping[str, Any], opening: Opening, reason: IncompleteReason | None) -> list[Item]:
    """Return what the model thought, said and called, in this order; an answer cut short was cut in its last item."""
    message = choice.get("message")
    said = message if isinstance(message, Mapping) else {}
    output: list[Item] = []
    details: Details = []
    merge_details(details, read_details(said))
    thoughts = _thought_parts(said, details)
    sealed = seal_details(details)
    if thoughts or sealed:
        output.append(reasoning_item(opening.item_id("reasoning", 0), thoughts, sealed, "completed"))
    content = _content(choice, said)
    if content:
        output.append(message_item(opening.item_id("message", len(output)), content, "completed"))
    for _, call in read_calls(said):
        place = len(output)
        named = call if call.call_id else call._replace(call_id=opening.call_id(place))
        output.append(call_item(named, opening.item_id(call.kind, place), "completed"))
    if reason is not None and output:
        output[-1]["status"] = "incomplete"
    return output


def _thought_parts(said: Mapping[str, Any], details: Details) -> list[Item]:
    parts: list[Item] = []
    block: object = None
    for thought in read_thoughts({**said, "reasoning_details": details}):
        if parts and thought.block == block:
            parts[-1]["text"] += thought.text
        else:
            parts.append({"type": thought.kind, "text": thought.text})
        block = thought.block
    return parts


def _content(choice: Mapping[str, Any], said: Mapping[str, Any]) -> list[Item]:
    content: list[Item] = []
    text, refusal = read_text(said), read_refusal(said)
    if text:
        content.append(text_part(text, read_annotations(said), read_logprobs(choice)))
    if refusal:
        content.append({"type": "refusal", "refusal": refusal})
    return content
