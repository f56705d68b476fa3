"""One answer as its provider bills it against one line of our ledger: tokens, costs, and what may be estimated."""

from collections.abc import Iterator

from shared.core.money import ceil_div
from tests.chaos.asked import Asked
from tests.chaos.bill import Line, Served
from tests.chaos.crashes import OF_CRASHES
from tests.chaos.world import COST_RATES, MARKUP_PPM

MILLION = 1_000_000
BYTES_PER_COUNTED_TOKEN = 4
REPORTED = frozenset({"provider", "lookup"})
# Who can be asked afterwards what an answer used.
CAN_BE_ASKED = frozenset({"openrouter"})


def compare(served: Served, line: Line, asked: Asked | None) -> tuple[str, list[str]]:
    """Compare one answer with its line; say how, and what is wrong with its amounts."""
    name = f"{served.id} of {served.provider}, line {line.generation_id}"
    wrong: list[str] = []
    if served.is_failed and line.charged_nanos:
        wrong.append(f"{name}: the provider failed, and {line.charged_nanos} was charged")
    if line.waived_reason is not None:
        if line.charged_nanos or line.cost_nanos:
            wrong.append(f"{name}: waived as {line.waived_reason} and charged {line.charged_nanos}")
        wrong += [f"{name}, {line.waived_reason}: {what}" for what in _misbooked(served, line)]
        return f"waived as {line.waived_reason}{', broken off' if served.is_failed else ''}", wrong
    if line.is_late and asked is not None and any(each.life.killed_at for each in asked.tries):
        wrong.append(f"{name}: its process was killed, and it was charged {line.charged_nanos}")
    if line.usage_source in REPORTED:
        return "compared", [*wrong, *(f"{name}: {what}" for what in _differences(served, line))]
    wrong += [f"{name}: {what}" for what in _misestimates(served, line, asked)]
    if not _may_be_counted(served):
        wrong.append(f"{name}: {line.usage_source}, although its provider said or can say what it charges")
    return "estimated", wrong


def price(input_tokens: int, cached_tokens: int, output_tokens: int) -> int:
    """Return what quantities cost at our prices: one rounding up at the end, here with the quantities of the bill."""
    quantities = {
        "input_tokens": input_tokens,
        "cached_input_tokens": cached_tokens,
        "output_tokens": output_tokens,
    }
    rates = {unit: ceil_div(rate * (MILLION + MARKUP_PPM), MILLION) for unit, rate in COST_RATES.items()}
    return ceil_div(sum(rates[unit] * quantities[unit] for unit in rates), MILLION)


def _may_be_counted(served: Served) -> bool:
    """Say whether we can know no better: the provider hides it, or broke off or was left and keeps no record."""
    return served.hides_usage or not (served.is_finished or served.provider in CAN_BE_ASKED)


def _misbooked(served: Served, line: Line) -> Iterator[str]:
    """Yield what is wrong with what the house pays for an answer that is charged to nobody."""
    if line.waived_reason in OF_CRASHES and line.usage_source in REPORTED:
        yield from _misreported(served, line)
    elif line.waived_reason in OF_CRASHES and not _may_be_counted(served):
        yield f"{line.usage_source}, although its provider said or can say what it charges"
    elif line.waived_reason == "time_limit":
        if served.is_finished or served.broke_off:
            yield "the provider was not at it any more"
        if line.provider_nanos < served.cost_nanos:
            yield f"{line.provider_nanos} booked for the provider at the most, {served.cost_nanos} billed"
    elif line.waived_reason == "no_answer" and not served.broke_off:
        yield "the provider did not break off"


def _differences(served: Served, line: Line) -> Iterator[str]:
    yield from _misreported(served, line)
    if line.charged_nanos != price(*_billed_tokens(served)):
        yield f"{line.charged_nanos} charged, {price(*_billed_tokens(served))} is the price"


def _billed_tokens(served: Served) -> tuple[int, int, int]:
    return served.prompt_tokens - served.cached_tokens, served.cached_tokens, served.completion_tokens


def _misreported(served: Served, line: Line) -> Iterator[str]:
    billed = _billed_tokens(served)
    booked = (line.input_tokens, line.cached_input_tokens, line.output_tokens)
    if booked != billed:
        yield f"{booked} tokens booked ({line.usage_source}), {billed} billed"
    if line.provider_nanos != served.cost_nanos:
        yield f"{line.provider_nanos} booked for the provider, {served.cost_nanos} billed"


def _misestimates(served: Served, line: Line, asked: Asked | None) -> Iterator[str]:
    """Yield where an estimate is not the documented one: a token per four bytes, of what the gateway can have seen."""
    if asked is None:
        yield "nobody asked for it"
        return
    tries = [each for each in asked.tries if each.generation_id == f"gen_{line.generation_id.hex}"]
    least = ceil_div(max((each.text_bytes for each in tries), default=0), BYTES_PER_COUNTED_TOKEN)
    most = ceil_div(served.sent_bytes, BYTES_PER_COUNTED_TOKEN)
    if not least <= line.output_tokens <= most:
        yield f"{line.output_tokens} output tokens estimated, {least} to {most} passed"
    shortest, longest = (ceil_div(size, BYTES_PER_COUNTED_TOKEN) for size in (len(asked.prompt), asked.body_bytes))
    if not shortest <= line.input_tokens <= longest:
        yield f"{line.input_tokens} input tokens estimated, {shortest} to {longest} were sent"
    if line.charged_nanos != price(line.input_tokens, 0, line.output_tokens):
        yield f"{line.charged_nanos} charged, {price(line.input_tokens, 0, line.output_tokens)} is the price"
