"""Images: as asked, as scripted, and what they cost."""

import base64
from typing import Any

import pytest

from tests.infra.local.simulator.conftest import HEADERS, Sim

PATHS = {"openrouter": "/openrouter/v1/images", "portkey": "/portkey/v1/images/generations"}


async def _draw(sim: Sim, script: str = "echo", provider: str = "openrouter", **fields: Any) -> tuple[int, Any]:
    body = {"model": f"sim/{script}", "prompt": "a cat", **fields}
    async with sim.session.post(sim.url + PATHS[provider], json=body, headers=HEADERS) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("provider", PATHS)
async def test_as_many_images_come_as_are_asked_for_and_each_is_billed(sim: Sim, provider: str) -> None:
    status, body = await _draw(sim, provider=provider, n=3, size="1x1", quality="hd")
    assert (status, len(body["data"])) == (200, 3)
    assert all(base64.b64decode(each["b64_json"], validate=True) for each in body["data"])
    assert ("cost" in body["usage"]) == (provider == "openrouter")
    record = await sim.last()
    assert (record["images_sent"], record["cost"], record["finished"]) == (3, "0.12", True)
    assert record["image_request"] == {"model": "sim/echo", "n": 3, "size": "1x1", "quality": "hd"}


@pytest.mark.parametrize(
    ("script", "sent"),
    [("images=0", 0), ("images=2", 2), ("image_form=broken,image_forms=1", 2), ("image_form=url", 3)],
)
async def test_what_cannot_be_used_is_not_billed(sim: Sim, script: str, sent: int) -> None:
    assert (await _draw(sim, script, n=3))[0] == 200
    assert (await sim.last())["images_sent"] == sent


async def test_an_image_is_as_large_as_its_script_says(sim: Sim) -> None:
    _, body = await _draw(sim, "image_bytes=30000")
    assert len(base64.b64decode(body["data"][0]["b64_json"], validate=True)) == 30_000


@pytest.mark.parametrize(
    "fields",
    [{"prompt": 5}, {"prompt": None}, {"n": 0}, {"n": 11}, {"n": True}, {"size": 5}, {"model": "sim/colour=1"}],
)
async def test_bad_requests_are_400(sim: Sim, fields: dict[str, Any]) -> None:
    status, body = await _draw(sim, **{"prompt": "a cat", **fields})
    assert (status, "error" in body) == (400, True)


@pytest.mark.parametrize(("script", "status"), [("status=503", 503), ("status=429,retry_after=3", 429)])
async def test_a_scripted_error_costs_nothing(sim: Sim, script: str, status: int) -> None:
    assert (await _draw(sim, script))[0] == status
    record = await sim.last()
    assert (record["status"], record["cost"]) == (status, "0")


async def test_a_request_without_the_providers_key_is_401(sim: Sim) -> None:
    async with sim.session.post(sim.url + PATHS["portkey"], json={"model": "sim/echo", "prompt": "a"}) as response:
        assert response.status == 401
