"""The bounded log."""

from decimal import Decimal

from infra.local.simulator.catalog import PROVIDERS, find_offer
from infra.local.simulator.log import ServedLog

OFFER = find_offer(PROVIDERS["openrouter"], "sim/echo")


def test_the_oldest_records_are_dropped_first() -> None:
    log = ServedLog(max_records=3)
    ids = [log.open("openrouter", "sim/echo", OFFER).id for _ in range(5)]
    assert [record.id for record in log.list()] == ids[2:]
    assert log.find(ids[0]) is None
    assert log.find(ids[4]) is not None


def test_nothing_is_billed_before_generation_begins() -> None:
    served = ServedLog().open("openrouter", "sim/echo", OFFER)
    served.prompt_quantity = 100
    assert (served.prompt_tokens, served.cost) == (0, Decimal(0))
    served.has_begun = True
    assert served.prompt_tokens == 100


def test_only_the_first_end_counts() -> None:
    served = ServedLog().open("openrouter", "sim/echo", OFFER)
    served.end("stop", is_finished=True)
    served.end(client_left=True)
    assert (served.is_finished, served.client_left, served.finish_reason) == (True, False, "stop")
