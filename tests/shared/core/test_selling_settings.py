"""What a gateway needs that sells and writes e-mails: Stripe, Resend, and where people find it."""

from typing import Any

import pytest

from shared.core.integrations import MailSettings, PublicSettings, StripeSettings
from shared.core.settings import AccountSettings, BillingSettings, ScheduledSettings, StripeWebhookSettings
from shared.core.variables import SettingsError
from tests.shared.core.test_settings import CHAT

STRIPE_SECRET = "whsec_4eC39HqLyjWDarjtT1zdp7dc"
STRIPE = {"STRIPE_SECRET_KEY": "sk_live_1", "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET}
MAIL = {"RESEND_API_KEY": "re_1", "EMAIL_FROM": "Gateway <hello@gateway.test>"}
RESEND_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NO_SENDERS = (
    "Gateway", "@", "a@", "@b.test", "a@b", "a b@c.test", "Gateway <a@b.test", "a@b.test>", "Gateway <a@b.test> x",
    "Gateway a@b.test", "a@b.test, c@d.test", "Gateway\n <a@b.test>", "a@.test", "a@b..test", "a@b@c.test",
)  # fmt: skip
PUBLIC = {"GATEWAY_URL": "https://gateway.test/"}
SELLING = (BillingSettings, StripeWebhookSettings, ScheduledSettings)


def test_without_stripe_nothing_is_sold() -> None:
    assert StripeSettings.read({}) is None
    assert StripeSettings.read(dict.fromkeys((*STRIPE, "STRIPE_URL", "STRIPE_AUTOMATIC_TAX"), " ")) is None


def test_stripe_is_reached_where_it_is_unless_told() -> None:
    settings = StripeSettings.read(STRIPE)
    assert settings == StripeSettings("sk_live_1", (STRIPE_SECRET,), api_url=None, is_taxed=False)
    told = StripeSettings.read({**STRIPE, "STRIPE_URL": "http://127.0.0.1:9/", "STRIPE_AUTOMATIC_TAX": "TRUE"})
    assert told is not None
    assert (told.api_url, told.is_taxed) == ("http://127.0.0.1:9", True)


def test_while_a_webhook_secret_is_rolled_both_count() -> None:
    newer = "whsec_" + "a" * 64
    settings = StripeSettings.read({**STRIPE, "STRIPE_WEBHOOK_SECRET": f" {newer} , {STRIPE_SECRET} "})
    assert settings is not None
    assert settings.webhook_secrets == (newer, STRIPE_SECRET)


@pytest.mark.parametrize(
    "secret",
    ["whsec_", "x", "whsec_short", "4eC39HqLyjWDarjtT1zdp7dc", "sk_live_4eC39HqLyjWDarjtT1", f"{STRIPE_SECRET},whsec_",
     "whsec_4eC39 HqLyjWDarjtT1zdp7dc"],
)  # fmt: skip
def test_what_anybody_could_guess_is_no_webhook_secret(secret: str) -> None:
    with pytest.raises(SettingsError, match="STRIPE_WEBHOOK_SECRET is not a signing secret") as refusal:
        StripeSettings.read({**STRIPE, "STRIPE_WEBHOOK_SECRET": secret})
    assert STRIPE_SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    "secret", [None, "", "  ", f"{STRIPE_SECRET},", f", {STRIPE_SECRET}", f"{STRIPE_SECRET}, ,{STRIPE_SECRET}"]
)
@pytest.mark.parametrize("settings", SELLING)
def test_who_could_be_told_of_payments_by_anyone_refuses_to_start(settings: Any, secret: str | None) -> None:
    variables = {**CHAT, **PUBLIC, **STRIPE, "STRIPE_WEBHOOK_SECRET": secret}
    with pytest.raises(SettingsError, match="STRIPE_WEBHOOK_SECRET is not, or holds an empty one"):
        settings.read({name: text for name, text in variables.items() if text is not None})


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"STRIPE_WEBHOOK_SECRET": STRIPE_SECRET}, "STRIPE_SECRET_KEY is not"),
        ({"STRIPE_URL": "https://stripe.test"}, "STRIPE_SECRET_KEY is not"),
        ({**STRIPE, "STRIPE_URL": "http://stripe.test"}, "STRIPE_URL must begin with https://"),
        ({**STRIPE, "STRIPE_URL": "http://127.0.0.1.evil.test"}, "STRIPE_URL must begin with https://"),
        ({**STRIPE, "STRIPE_AUTOMATIC_TAX": "yes"}, "STRIPE_AUTOMATIC_TAX is true or false"),
    ],
)
def test_stripe_set_up_by_half_or_where_it_cannot_be_trusted_is_refused(variables: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        StripeSettings.read(variables)


def test_without_resend_no_mail_is_sent() -> None:
    assert MailSettings.read({}) is None
    assert MailSettings.read(dict.fromkeys((*MAIL, "RESEND_WEBHOOK_SECRET", "RESEND_URL"), " ")) is None


@pytest.mark.parametrize(
    "sender",
    ["hello@gateway.test", "<hello@gateway.test>", "AI Gateway <hello+ai@mail.gateway.test>",
     "Gateway, Inc. <g@gateway.test>", "Größe <g@gateway.test>"],
)  # fmt: skip
def test_a_sender_is_an_address_with_a_name_or_without(sender: str) -> None:
    settings = MailSettings.read({**MAIL, "EMAIL_FROM": sender})
    assert settings is not None
    assert settings.sender == sender


def test_bounces_are_told_where_there_is_a_secret_for_it() -> None:
    settings = MailSettings.read(MAIL)
    assert settings == MailSettings("re_1", "Gateway <hello@gateway.test>", webhook_secret=None, api_url=None)
    told = MailSettings.read({**MAIL, "RESEND_WEBHOOK_SECRET": RESEND_SECRET, "RESEND_URL": "http://localhost:9/"})
    assert told is not None
    assert (told.webhook_secret, told.api_url) == (RESEND_SECRET, "http://localhost:9")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"EMAIL_FROM": "hello@gateway.test"}, "RESEND_API_KEY is not"),
        ({"RESEND_WEBHOOK_SECRET": RESEND_SECRET}, "RESEND_API_KEY is not"),
        ({"RESEND_URL": "https://resend.test"}, "RESEND_API_KEY is not"),
        ({"RESEND_API_KEY": "re_1"}, "EMAIL_FROM is not"),
        *(({**MAIL, "EMAIL_FROM": sender}, "EMAIL_FROM is not") for sender in NO_SENDERS),
        # What is left of these is no secret: anybody could sign with it.
        ({**MAIL, "RESEND_WEBHOOK_SECRET": "whsec_"}, "RESEND_WEBHOOK_SECRET is not a signing secret"),
        ({**MAIL, "RESEND_WEBHOOK_SECRET": "whsec_!!!!!!!!!!!!!!!!!!!!!!!!"}, "is not a signing secret"),
        ({**MAIL, "RESEND_WEBHOOK_SECRET": "whsec_c2hvcnQ="}, "is not a signing secret"),
        ({**MAIL, "RESEND_URL": "http://resend.test"}, "RESEND_URL must begin with https://"),
    ],
)
def test_resend_set_up_by_half_or_where_it_cannot_be_trusted_is_refused(variables: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        MailSettings.read(variables)


def test_people_use_the_gateways_own_console_unless_there_is_another_page() -> None:
    assert PublicSettings.read(PUBLIC) == PublicSettings("https://gateway.test", "https://gateway.test/console")
    told = PublicSettings.read({**PUBLIC, "APP_URL": "https://app.gateway.test/"})
    assert told.app_url == "https://app.gateway.test"


@pytest.mark.parametrize("name", ["GATEWAY_URL", "APP_URL"])
@pytest.mark.parametrize("address", ["gateway.test", "http://gateway.test", "https:// gateway.test", "javascript:1"])
def test_a_link_in_an_email_leads_to_https(name: str, address: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must begin with https://"):
        PublicSettings.read({**PUBLIC, name: address})


@pytest.mark.parametrize("settings", [*SELLING, AccountSettings])
def test_who_writes_links_needs_to_know_where_he_is_reached(settings: Any) -> None:
    assert settings.read({**CHAT, **PUBLIC}).public == PublicSettings.read(PUBLIC)
    for told_by in (MAIL, {"APP_URL": "https://app.gateway.test"}):
        with pytest.raises(SettingsError, match="is set but GATEWAY_URL is not"):
            settings.read({**CHAT, **told_by})


@pytest.mark.parametrize("settings", [*SELLING, AccountSettings])
def test_who_tells_nobody_needs_no_address(settings: Any) -> None:
    assert settings.read(CHAT).public == PublicSettings("", "")


@pytest.mark.parametrize("settings", SELLING)
def test_what_is_not_set_up_is_absent(settings: Any) -> None:
    read = settings.read({**CHAT, **PUBLIC})
    assert (read.stripe, read.mail) == (None, None)
    whole = settings.read({**CHAT, **PUBLIC, **STRIPE, **MAIL})
    assert (whole.stripe, whole.mail) == (StripeSettings.read(STRIPE), MailSettings.read(MAIL))


def test_no_key_or_secret_is_printed() -> None:
    whole = BillingSettings.read({**CHAT, **PUBLIC, **STRIPE, **MAIL, "RESEND_WEBHOOK_SECRET": RESEND_SECRET})
    printed = repr(whole)
    assert printed.startswith("BillingSettings(stores, ")
    for secret in (
        "sk_live_1",
        STRIPE_SECRET,
        RESEND_SECRET,
        "re_1",
        CHAT["SECRET_KEY"],
        CHAT["SUPABASE_SERVICE_ROLE_KEY"],
    ):
        assert secret not in printed
