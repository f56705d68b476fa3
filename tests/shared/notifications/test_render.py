"""E-mails as they are read: every template, hostile facts, nothing that ends a line where it should not."""

import html
import re
from typing import Any

import pytest

from shared.notifications.render import Unsayable
from shared.notifications.types import FACTS
from tests.shared.notifications.facts import AT, GIVEN, make_mail, make_renderer

LINK = re.compile(r'(?:href|src|action)="([^"]*)"')
HOSTILE = '"><script src=//evil.example></script>\r\nBcc: victim@example.com\r\n\r\n{{ 7 * 7 }}\u202e'
UNKNOWN_TIME = {**GIVEN["trial_started"], "ends_at": "soon"}


@pytest.mark.parametrize("template", FACTS)
def test_every_template_says_its_facts_as_text_and_as_html(template: str) -> None:
    rendered = make_renderer().render(make_mail(template))
    assert rendered.subject
    assert "\n" not in rendered.subject
    for body in (rendered.text, html.unescape(rendered.html)):
        assert "https://gateway.example.com/console" in body
        for unsaid in ("None", "Undefined", "{{", "{%", "nanos", AT):
            assert unsaid not in body
    assert "<" not in rendered.text.replace("<b>", "")
    assert all(link.startswith("https://") for link in LINK.findall(rendered.html))


@pytest.mark.parametrize("template", FACTS)
def test_the_same_facts_are_the_same_bytes(template: str) -> None:
    """Resend takes two of them under one key for one mail only if they are the same."""
    mail = make_mail(template)
    assert make_renderer().render(mail) == make_renderer().render(mail)


def hostile(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: hostile(part) if name not in {"at", "month", "kind", "event"} else part
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [hostile(part) for part in value]
    return HOSTILE if isinstance(value, str) and not value.startswith("2026-") else value


@pytest.mark.parametrize("template", FACTS)
def test_what_a_stranger_has_named_is_neither_markup_nor_a_line_nor_a_link(template: str) -> None:
    rendered = make_renderer().render(make_mail(template, hostile(GIVEN[template])))
    assert "<script" not in rendered.html
    assert re.search(r"^\s*Bcc:", rendered.text, re.MULTILINE) is None
    assert "49" not in re.sub(r"\d{3,}", "", rendered.html + rendered.text)
    assert "\u202e" not in rendered.html + rendered.text
    assert all(link.startswith("https://gateway.example.com") for link in LINK.findall(rendered.html))
    for line in (rendered.subject, *rendered.headers.values()):
        assert not re.search(r"[\r\n]", line)


def test_a_hostile_name_of_a_plan_ends_no_header() -> None:
    rendered = make_renderer().render(make_mail("plan_changed", {"plan_name": "Team\r\nBcc: x@example.com"}))
    assert rendered.subject == "Your plan: Team Bcc: x@example.com"


def test_a_very_long_name_is_cut() -> None:
    rendered = make_renderer().render(make_mail("plan_changed", {"plan_name": "x" * 10_000}))
    assert len(rendered.subject) <= 200
    assert "x" * 301 not in rendered.text


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://evil.example", "//evil.example", "data:text/html,x", None]
)
def test_only_a_web_address_becomes_a_link(url: str | None) -> None:
    rendered = make_renderer().render(make_mail("payment_received", {**GIVEN["payment_received"], "receipt_url": url}))
    assert "evil" not in rendered.html
    assert "alert" not in rendered.html
    assert "https://gateway.example.com/console/billing" in rendered.text


def test_a_receipt_is_linked_to() -> None:
    assert 'href="https://pay.stripe.com/r/1"' in make_renderer().render(make_mail("payment_received")).html


@pytest.mark.parametrize(
    ("template", "data"),
    [
        ("trial_started", {}),
        ("trial_started", UNKNOWN_TIME),
        ("low_balance", {"available_nanos": "5", "threshold_nanos": 1}),
        ("nonsense", {}),
        ("../../types", {}),
        ("usage_report", {"month": "2026-10"}),
    ],
)
def test_facts_that_are_not_there_are_not_made_up(template: str, data: dict[str, Any]) -> None:
    with pytest.raises(Unsayable, match=re.escape(template)):
        make_renderer().render(make_mail(template, data))


def test_numbers_are_said_as_people_read_them() -> None:
    text = make_renderer().render(make_mail("usage_report")).text
    assert make_renderer().render(make_mail("usage_report")).subject == "Your usage in October 2026"
    for said in (
        "Requests: 1,200",
        "Input tokens: 1,234,567",
        "Charged: $12.500000001",
        "robot | 1,200",
        "a key of before",
    ):
        assert said in text


def test_what_can_be_switched_off_has_its_button_and_what_cannot_has_none() -> None:
    renderer = make_renderer()
    headers = renderer.render(make_mail("trial_ended", category="trial")).headers
    assert headers["List-Unsubscribe"].startswith("<https://gateway.example.com/unsubscribe?token=1000.trial.")
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    rendered = renderer.render(make_mail("security_notice", category="account"))
    assert rendered.headers == {}
    assert "unsubscribe" not in rendered.html + rendered.text


@pytest.mark.parametrize(
    "event", ["address_refused", "domain_refused", "email_changed", "payment_disputed", "other_thing"]
)
def test_a_security_notice_needs_no_more_than_its_event(event: str) -> None:
    rendered = make_renderer().render(make_mail("security_notice", {"event": event}))
    assert "None" not in rendered.text
