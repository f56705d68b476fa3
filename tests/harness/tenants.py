"""Accounts and models made for one test: fresh ids, so that tests never meet."""

import itertools
import json
import secrets
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg

from shared.core.ids import KeyEnvironment
from shared.core.money import NANOS_PER_DOLLAR
from shared.keys.fingerprint import fingerprint
from shared.keys.format import generate_secret, mask
from tests.harness.books import AccountBooks

# A price is kept as nano-dollars per million units.
NANOS_PER_USD_PER_MTOK = NANOS_PER_DOLLAR

INSERT_PLAN = """
    insert into gateway.plans (id, name, requests_per_minute, tokens_per_minute, concurrency,
                               requests_per_day, tokens_per_day, requests_per_month, tokens_per_month)
    values (%(id)s, %(id)s, %(requests_per_minute)s, %(tokens_per_minute)s, %(concurrency)s,
            %(requests_per_day)s, %(tokens_per_day)s, %(requests_per_month)s, %(tokens_per_month)s)
"""
CREATE_ACCOUNT = "select api.create_account(%s, %s)"
CREATE_KEY = "select api.create_api_key(%s, %s, %s, %s, %s)"
CREDIT = "select api.credit_account(%s, %s, %s, %s)"
ALLOW_ADDRESSES = "update gateway.api_keys set ip_allowlist = %s::cidr[] where id = %s"
READ_BALANCE = "select api.read_balance(%s)"
INSERT_MODEL = """
    insert into gateway.models (id, name, context_length, max_output_tokens, image_input_tokens, supported_parameters)
    values (%s, %s, %s, %s, %s, %s)
"""
PUBLISH_OFFER = "select api.publish_offer(%s, %s, %s, %s, %s)"
MAKES = "update gateway.models set output_modalities = %s where id = %s"
PUBLISH_IMAGE_PRICE = "select api.publish_image_price(%s, %s, %s, %s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """The limits of a tenant's own plan; per minute and concurrency 0 is unlimited, per day and month None."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrency: int = 0
    requests_per_day: int | None = None
    tokens_per_day: int | None = None
    requests_per_month: int | None = None
    tokens_per_month: int | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account with one key."""

    account_id: int
    key_id: int
    api_key: str = field(repr=False)
    database_url: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What a request of this tenant carries."""
        return {"Authorization": f"Bearer {self.api_key}"}

    def balance(self) -> dict[str, Any]:
        """Return what the ledger says of the account."""
        return dict(_call(self.database_url, READ_BALANCE, self.account_id))

    @property
    def books(self) -> AccountBooks:
        """What the ledger's tables say of the account."""
        return AccountBooks(self.database_url, self.account_id)

    def allow_addresses(self, *networks: str) -> None:
        """Let the key be used from these networks alone."""
        _run(self.database_url, ALLOW_ADDRESSES, (list(networks), self.key_id))

    def credit(self, amount_nanos: int, kind: str = "admin") -> None:
        """Give the account more."""
        _call(self.database_url, CREDIT, self.account_id, amount_nanos, kind, f"test:{secrets.token_hex(8)}")


@dataclass(frozen=True, slots=True)
class TestModel:
    """A model that a test made; upstream_model is what the simulator is asked for, with its script."""

    __test__ = False

    id: str
    upstream_model: str
    price_ids: dict[str, int]


@dataclass(frozen=True, slots=True)
class TestVariant:
    """An image in one size and quality; empty: the model does not know the one or the other."""

    __test__ = False

    size: str
    quality: str
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Tenants:
    """Makes tenants whose keys the stack's gateways know."""

    database_url: str
    gateway_secret: str = field(repr=False)

    def __call__(
        self,
        *,
        limits: PlanLimits | None = None,
        credit_nanos: int = 10 * NANOS_PER_DOLLAR,
        environment: KeyEnvironment = "live",
    ) -> Tenant:
        """Make an account on a plan of its own, with its credit and one key."""
        name = f"test-{secrets.token_hex(6)}"
        _run(self.database_url, INSERT_PLAN, {"id": name, **_columns(limits or PlanLimits())})
        account_id = int(_call(self.database_url, CREATE_ACCOUNT, name, name)["account_id"])
        secret = generate_secret(environment)
        key_hmac = fingerprint(secret, self.gateway_secret)
        key = _call(self.database_url, CREATE_KEY, account_id, name, environment, key_hmac, mask(secret))
        tenant = Tenant(account_id, int(key["key_id"]), secret, self.database_url)
        if credit_nanos:
            tenant.credit(credit_nanos)
        return tenant


@dataclass(frozen=True, slots=True)
class Models:
    """Makes models that the simulator answers as their script says."""

    database_url: str

    def __call__(
        self,
        script: str = "",
        *,
        providers: tuple[str, ...] = ("openrouter",),
        input_usd_per_mtok: Decimal | int = 1,
        output_usd_per_mtok: Decimal | int = 2,
        markup_ppm: int = 0,
        context_length: int = 128_000,
        max_output_tokens: int = 16_384,
        image_input_tokens: int | None = None,
        supported_parameters: tuple[str, ...] = (),
        other_rates: dict[str, int] | None = None,
    ) -> TestModel:
        """Make a model with an offer at each provider; other_rates are nano-dollars per million of other units."""
        model_id, upstream_model = _names(script)
        _run(
            self.database_url,
            INSERT_MODEL,
            (model_id, model_id, context_length, max_output_tokens, image_input_tokens, list(supported_parameters)),
        )
        rates = {
            "input_tokens": int(input_usd_per_mtok * NANOS_PER_USD_PER_MTOK),
            "output_tokens": int(output_usd_per_mtok * NANOS_PER_USD_PER_MTOK),
            **(other_rates or {}),
        }
        price_ids = {
            provider: int(
                _call(
                    self.database_url, PUBLISH_OFFER, model_id, provider, upstream_model, json.dumps(rates), markup_ppm
                )["price_id"]
            )
            for provider in providers
        }
        return TestModel(model_id, upstream_model, price_ids)

    def embedding_model(
        self,
        script: str = "",
        *,
        providers: tuple[str, ...] = ("openrouter",),
        input_usd_per_mtok: Decimal | int = 1,
        context_length: int = 8_192,
    ) -> TestModel:
        """Make a model that makes embeddings and writes nothing."""
        model = self(
            script,
            providers=providers,
            input_usd_per_mtok=input_usd_per_mtok,
            output_usd_per_mtok=0,
            context_length=context_length,
            max_output_tokens=0,
        )
        _run(self.database_url, MAKES, (["embeddings"], model.id))
        return model

    def image_model(
        self,
        script: str = "",
        *,
        providers: tuple[str, ...] = ("openrouter",),
        variants: tuple[TestVariant, ...] = (TestVariant("1024x1024", "standard", Decimal("0.04")),),
        markup_ppm: int = 0,
    ) -> TestModel:
        """Make a model that makes images, the first variant its default; price_ids are that one's."""
        model_id, upstream_model = _names(script)
        _run(self.database_url, INSERT_MODEL, (model_id, model_id, 32_000, 0, None, []))
        _run(self.database_url, MAKES, (["image"], model_id))
        model = TestModel(model_id, upstream_model, {})
        for provider, variant in itertools.product(providers, variants):
            price_id = self.publish_images(model, provider, variant, markup_ppm)
            model.price_ids.setdefault(provider, price_id)
        return model

    def publish_images(self, model: TestModel, provider: str, variant: TestVariant, markup_ppm: int = 0) -> int:
        """Put a model's images on offer at a provider, the first variant there its default; return the price's id."""
        named = (model.id, provider, model.upstream_model, variant.size, variant.quality)
        cost_nanos = int(variant.usd * NANOS_PER_DOLLAR)
        return int(_call(self.database_url, PUBLISH_IMAGE_PRICE, *named, cost_nanos, markup_ppm)["price_id"])


def _names(script: str) -> tuple[str, str]:
    key = secrets.token_hex(6)
    return f"test/{key}", f"sim/{script},key={key}" if script else f"sim/key={key}"


def _columns(limits: PlanLimits) -> dict[str, int | None]:
    return {name: getattr(limits, name) for name in PlanLimits.__dataclass_fields__}


def _call(database_url: str, statement: str, *arguments: object) -> Any:
    with psycopg.connect(database_url, autocommit=True) as session:
        row = session.execute(statement.encode(), arguments).fetchone()
    assert row is not None
    return row[0]


def _run(database_url: str, statement: str, arguments: dict[str, Any] | tuple[object, ...]) -> None:
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute(statement.encode(), arguments)
