"""What an operator stops over HTTP is stopped at every gateway, from the next request on."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.functions.admin.people import Office
from tests.functions.billing.people import Crowd
from tests.functions.chat.client import ask
from tests.functions.inference_routes import EACH_CHARGED, InferenceRoute
from tests.functions.keys.client import outcome, run_sql
from tests.harness.gateways import Gateways
from tests.harness.simulator import Simulator

SWITCHES = "/admin/switches"
CRON_SECRET = "a cron secret of the tests"
SWEEP, AS_SCHEDULER = "/internal/jobs/settlement_sweep", {"Authorization": f"Bearer {CRON_SECRET}"}
RESTORE = """
    update gateway.switches set are_trials_stopped = false, is_inference_stopped = false, daily_loss_bound_nanos = null,
                                alarmed_on = null
"""


@pytest.fixture(autouse=True)
def _nothing_stays_stopped(database_url: str) -> Iterator[None]:
    yield
    run_sql(database_url, RESTORE)


@EACH_CHARGED
async def test_stopped_inference_asks_no_provider_holds_nothing_and_says_so(
    office: Office, simulator: Simulator, route: InferenceRoute
) -> None:
    customer = office.tenant()
    model = route.model(office.make_model)
    told = await office.done("PUT", SWITCHES, {"stop_inference": True})
    assert (told["stop_inference"], told["stop_trials"]) == (True, False)
    before = customer.balance()
    answer = await route.ask(office.gateway, customer, model)
    assert answer.status == 503, answer.raw
    assert (answer.error["code"], answer.headers["x-should-retry"]) == ("inference_stopped", "false")
    assert simulator.requests(model.upstream_model) == []
    assert customer.balance() == before
    assert customer.books.holds() == []
    await office.done("PUT", SWITCHES, {"stop_inference": False})
    assert (await route.ask(office.gateway, customer, model)).status == 200


async def test_a_stream_that_has_begun_ends_as_it_would_have_and_is_charged(
    office: Office, simulator: Simulator
) -> None:
    customer, gate = office.tenant(), "before-the-switch"
    model = office.make_model(f"tokens=6,gate={gate}")
    request = asyncio.create_task(ask(office.gateway, customer, model, stream=True))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    await office.done("PUT", SWITCHES, {"stop_inference": True})
    simulator.open_gate(gate)
    answer = await request
    assert (answer.status, answer.payloads[-1]) == (200, "[DONE]")
    (line,) = customer.books.usage_lines()
    assert line.charged_nanos == simulator.bill_nanos(model.upstream_model)


async def test_every_gateway_is_stopped_at_once_and_what_is_no_inference_goes_on(
    office: Office, start_gateway: Gateways
) -> None:
    (_, holder), model, elsewhere = office.customer(), office.make_model("tokens=2"), start_gateway()
    assert outcome(await holder.on(elsewhere).complete(model)) == 200
    await office.done("PUT", SWITCHES, {"stop_inference": True})
    assert outcome(await holder.on(elsewhere).complete(model)) == "inference_stopped"
    for path in ("/user/balance", "/v1/key", "/v1/models", "/user/activity"):
        assert outcome(await holder.on(elsewhere).call("GET", path)) == 200


async def test_stopped_trials_begin_none_and_leave_those_there_are(office: Office) -> None:
    crowd, model = Crowd(office.gateway, office.tenant), office.make_model("tokens=2")
    on_trial, late = crowd(), crowd()
    assert (await on_trial.start_trial()).status == 200
    await office.done("PUT", SWITCHES, {"stop_trials": True})
    assert outcome(await late.start_trial()) == "trials_stopped"
    assert late.gifts == []
    assert outcome(await on_trial.holder.complete(model)) == 200
    await office.done("PUT", SWITCHES, {"stop_trials": False})
    assert (await late.start_trial()).status == 200


async def test_the_house_loses_no_more_to_trials_than_its_bound_and_somebody_is_told_once(
    office: Office, start_gateway: Gateways
) -> None:
    gateway = start_gateway(CRON_SECRET=CRON_SECRET)
    crowd = Crowd(gateway, office.tenant)
    (_, paying), on_trial, late = office.customer(), crowd(), crowd()
    model, dear = office.make_model("tokens=2"), office.make_model("tokens=2,cost=0.05")
    assert (await on_trial.start_trial()).status == 200
    before = Decimal((await office.done("GET", SWITCHES))["loss_today"])
    bound = f"{before + Decimal('0.06'):f}"
    assert (await office.done("PUT", SWITCHES, {"daily_loss_bound": bound}))["is_loss_bound_passed"] is False
    losses = []
    for expected in (200, 200, "trials_paused"):
        assert outcome(await on_trial.holder.complete(dear)) == expected
        losses.append(Decimal((await office.done("GET", SWITCHES))["loss_today"]) - before)
    # The provider took 0.05 USD for what its price says is 0.000018: two of them are more than the bound, and the last.
    assert losses[0] < Decimal("0.06") < losses[1] == losses[2] == 2 * losses[0]
    assert outcome(await late.start_trial()) == "trials_stopped"
    assert outcome(await paying.on(gateway).complete(model)) == 200
    told = [(await paying.on(gateway).call("POST", SWEEP, headers=AS_SCHEDULER)).json["alarms"] for _ in range(3)]
    assert told == [1, 0, 0]
    assert gateway.log_text().count('"house_loss_bound_passed"') == 1
    await office.done("PUT", SWITCHES, {"daily_loss_bound": f"{before + 1:f}"})
    assert outcome(await on_trial.holder.complete(model)) == 200
    await office.done("PUT", SWITCHES, {"daily_loss_bound": None})
    assert (await late.start_trial()).status == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"daily_loss_bound": "0"}, {"daily_loss_bound": -1}, {"stop_inference": "yes"}, {"stop_all": True},
     {"stop_trials": None}],
)  # fmt: skip
async def test_a_switch_that_says_nothing_changes_nothing(office: Office, body: dict[str, object]) -> None:
    before = await office.done("GET", SWITCHES)
    answer = await office.operator.call("PUT", SWITCHES, body)
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")
    assert await office.done("GET", SWITCHES) == before
