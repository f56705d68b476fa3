"""The description of the whole gateway, and the page that shows it: to a program, and in a real browser."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from infra.describe.__main__ import DOCUMENT
from tests.functions.catalog.client import get
from tests.harness.browser import open_page
from tests.harness.gateways import RunningGateway

FROM_ELSEWHERE = "https://elsewhere.example/x.js"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_page() as opened:
        yield opened


async def test_the_description_is_the_one_that_was_deployed(gateway: RunningGateway) -> None:
    answer = await get(gateway, "/openapi.json")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=300, s-maxage=300"
    assert answer.raw == DOCUMENT.read_bytes()
    assert {"/v1/chat/completions", "/user/balance", "/models", "/webhooks/stripe"} <= set(
        json.loads(answer.raw)["paths"]
    )


async def test_the_page_may_load_nothing_from_elsewhere(gateway: RunningGateway) -> None:
    answer = await get(gateway, "/docs")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert {"base-uri", "form-action", "frame-ancestors", "script-src", "style-src"} <= set(rules)
    assert "unsafe" not in str(rules) and "http" not in str(rules)
    assert b"://" not in answer.raw


def test_the_page_shows_every_route_under_its_function(gateway: RunningGateway, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{gateway.url}/docs")
    page.wait_for_selector("details")
    document = json.loads(DOCUMENT.read_text())
    routes = [(method, path) for path, operations in document["paths"].items() for method in operations]
    shown = page.eval_on_selector_all(
        "summary", "all => all.map(one => [one.querySelector('b').textContent, one.querySelector('code').textContent])"
    )
    assert sorted((method.lower(), path) for method, path in shown) == sorted(routes)
    assert page.locator("h2").all_text_contents() == [tag["name"] for tag in document["tags"]]
    assert page.locator("#state").is_hidden()
    assert {url.removeprefix(gateway.url) for url in asked} <= {"/docs", "/openapi.json", "/favicon.ico"}


def test_a_route_that_is_opened_tells_what_it_takes_and_answers(gateway: RunningGateway, page: Page) -> None:
    page.goto(f"{gateway.url}/docs")
    page.wait_for_selector("details")
    page.get_by_label("Find a route").fill("/user/balance account:read")
    assert page.locator("details:visible").count() == 1
    page.get_by_text("/user/balance", exact=True).click()
    told = page.locator("details[open] > div").inner_text()
    assert "A key with the scope account:read" in told
    assert '"available": string' in told
    assert "401, 403, 429, 5XX" in told
    page.get_by_label("Find a route").fill("post /v1/chat/completions")
    page.get_by_text("/v1/chat/completions", exact=True).click()
    assert '"messages": [' in page.locator("details:visible[open] > div").inner_text()


def test_every_route_can_be_opened(gateway: RunningGateway, page: Page) -> None:
    page.goto(f"{gateway.url}/docs")
    page.wait_for_selector("details")
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    page.wait_for_function(
        "document.querySelectorAll('details').length === document.querySelectorAll('details > div').length"
    )
    assert "undefined" not in page.locator("main").inner_text()
    assert "[object Object]" not in page.locator("main").inner_text()


def test_the_browser_keeps_other_scripts_out_and_words_stay_words(gateway: RunningGateway, page: Page) -> None:
    document = json.loads(DOCUMENT.read_text())
    document["info"]["description"] = "<img src=x onerror='window.broken = true'>"
    page.route("**/openapi.json", lambda route: route.fulfill(json=document))
    page.goto(f"{gateway.url}/docs")
    page.wait_for_selector("details")
    assert page.locator("#about").inner_text() == document["info"]["description"]
    refused = page.evaluate(
        """async (url) => {
            const seen = new Promise((resolve) =>
                document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective)));
            const script = document.createElement("script");
            script.src = url;
            document.head.append(script);
            return seen;
        }""",
        FROM_ELSEWHERE,
    )
    assert refused == "script-src-elem"
    assert page.evaluate("window.broken") is None
    page.unroute("**/openapi.json")
