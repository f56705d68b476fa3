"""Images of many megabytes: those that are read are charged, those that are not are the house's."""

import base64
import json

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.asked_again import KEY, assert_replayed
from tests.functions.chat.books import assert_settled, usage_line
from tests.functions.chat.client import post
from tests.functions.images.client import PATH, PROMPT, draw
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR
IMAGE = NANOS_PER_DOLLAR * 4 // 100


@pytest.mark.parametrize(("count", "image_bytes"), [(4, 4_000_000), (10, 4_000_000), (1, 20_000_000)])
async def test_large_images_come_whole_and_in_pieces(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, *, count: int, image_bytes: int
) -> None:
    customer, model = tenant(), make_model.image_model(f"image_bytes={image_bytes}")
    answer = await draw(gateway, customer, model, n=count)
    assert answer.status == 200, answer.raw[:200]
    images = {base64.b64decode(image["b64_json"]) for image in answer.json["data"]}
    assert (len(images), {len(image) for image in images}) == (count, {image_bytes})
    assert answer.headers.get("Transfer-Encoding") == "chunked"
    assert "Content-Length" not in answer.headers
    assert assert_settled(customer, START) == count * IMAGE


async def test_images_too_large_to_read_are_made_once_and_paid_by_the_house(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer = tenant()
    model = make_model.image_model("image_bytes=26000000", providers=("openrouter", "portkey"))
    answer = await draw(gateway, customer, model)
    assert (answer.status, answer.error["code"]) == (502, "answer_too_large"), answer.raw
    # No client asks again by itself, and nobody else is asked: another provider's would be as large.
    assert (answer.error["retryable"], answer.headers["x-should-retry"]) == (False, "false")
    (served,) = simulator.requests(model.upstream_model)
    assert served["images_sent"] == 1
    line = usage_line(customer, answer.generation_id)
    assert (line["waived_reason"], line["provider_cost_nanos"]) == ("answer_too_large", IMAGE)
    assert assert_settled(customer, START) == 0


async def test_a_provider_is_not_blamed_for_images_that_we_do_not_read(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.image_model("image_bytes=26000000")
    answer = await draw(gateway, customer, model)
    (attempt,) = usage_line(customer, answer.generation_id)["attempts"]
    assert (attempt["status"], attempt["is_success"], attempt["reason"]) == (200, False, "UpstreamTooLarge")
    assert attempt["is_request_at_fault"]


@pytest.mark.parametrize("script", ["image_form=broken", "error_event=1"])
async def test_what_a_provider_charges_for_no_image_is_paid_by_the_house(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, script: str
) -> None:
    customer, model = tenant(), make_model.image_model(f"{script},cost=0.04")
    answer = await draw(gateway, customer, model)
    assert answer.status == 502
    line = usage_line(customer, answer.generation_id)
    assert (line["cost_excess_nanos"], line["waived_reason"]) == (IMAGE, "no_answer")
    assert assert_settled(customer, START) == 0


async def test_what_the_first_provider_charges_for_no_image_is_booked_beside_the_second_s(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    failing, healthy = make_model.image_model("image_form=broken,cost=0.03"), make_model.image_model("cost=0.04")
    answer = await draw(gateway, customer, failing, models=[healthy.id])
    assert answer.status == 200
    line = usage_line(customer, answer.generation_id)
    assert line["provider_cost_nanos"] + line["cost_excess_nanos"] == NANOS_PER_DOLLAR * 7 // 100
    assert assert_settled(customer, START) == IMAGE


async def test_what_the_first_provider_charges_for_no_image_is_told_where_the_books_cannot_hold_it(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    failing, large = (
        make_model.image_model("image_form=broken,cost=0.03"),
        make_model.image_model("image_bytes=26000000"),
    )
    answer = await draw(gateway, tenant(), failing, models=[large.id])
    assert answer.error["code"] == "answer_too_large"
    told = [line for line in gateway.log_text().splitlines() if answer.headers["X-Request-Id"] in line]
    (lost,) = [json.loads(line) for line in told if '"cost_lost"' in line]
    assert lost["cost_nanos"] == IMAGE * 3 // 4


@pytest.mark.parametrize(("image_bytes", "is_kept"), [(185_000, True), (200_000, False)])
async def test_images_are_kept_for_a_retry_up_to_some_190_kilobytes(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, *, image_bytes: int, is_kept: bool
) -> None:
    customer, model = tenant(), make_model.image_model(f"image_bytes={image_bytes}")
    body, headers = {"model": model.id, "prompt": PROMPT}, {**customer.headers, **KEY}
    first = await post(gateway.url, body, headers, PATH)
    again = await post(gateway.url, body, headers, PATH)
    assert len(base64.b64decode(first.json["data"][0]["b64_json"])) == image_bytes
    if is_kept:
        assert_replayed(first, again)
    else:
        assert (again.status, again.error["code"]) == (409, "answer_not_stored")
    assert assert_settled(customer, START) == IMAGE
