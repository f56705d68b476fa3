"""A list at Stripe that is longer than there is time for is read as far as there is, and the log says so."""

import pytest

from shared.clients.stripe.client import Stripe
from tests.harness.stripe import StripeDouble
from tests.shared.clients.stripe.buying import subscribe


async def test_a_list_for_the_daily_comparison_is_cut_and_no_failure(
    stripe: Stripe, stripe_double: StripeDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [(await subscribe(stripe, stripe_double, 2_900)).id for _ in range(3)]
    monkeypatch.setattr("shared.clients.stripe.subscriptions.PAGE_SIZE", 1)
    assert {each.id for each in await stripe.subscriptions.list_all_live()} == set(made)
    assert "stripe_list_cut" not in capsys.readouterr().out

    monkeypatch.setattr("shared.clients.stripe.wire.MOST_PAGES", 2)
    assert len(await stripe.subscriptions.list_all_live()) == 2
    assert "stripe_list_cut" in capsys.readouterr().out
