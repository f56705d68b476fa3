"""The only reader of the environment: one frozen settings class per function, listing exactly what it needs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.core.ids import ProviderSlug

Environment = Mapping[str, str]
Platform = Literal["vercel", "lambda", "direct", "proxy"]

PLATFORMS: tuple[Platform, ...] = ("vercel", "lambda", "direct", "proxy")
# What a platform sets in every function. Elsewhere than where it says, the address would be a proxy's or a forger's.
# source: https://vercel.com/docs/environment-variables/system-environment-variables,
#         https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
PLATFORM_SIGNS: dict[str, Platform] = {"VERCEL": "vercel", "AWS_LAMBDA_FUNCTION_NAME": "lambda"}
PROVIDER_SLUGS = ("openrouter", "portkey", "featherless", "chutes")
MINIMUM_SECRET_LENGTH = 32
MINIMUM_CRON_SECRET_LENGTH = 16
DEFAULT_TIME_LIMIT_S = 300
# Reasoning models may think for a minute without a word.
DEFAULT_SILENCE_LIMIT_S = 120
DEFAULT_HOLD_GRACE_S = 60


class SettingsError(Exception):
    """The environment lacks a variable or holds one that cannot be; the function refuses to start."""


def read_environment() -> Environment:
    """Return the process's environment; nothing else may ask for it."""
    return os.environ


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where state lives: Supabase for all of it, Upstash Redis for rate limits."""

    supabase_url: str
    supabase_key: str = field(repr=False)
    redis_url: str
    redis_token: str = field(repr=False)

    @classmethod
    def read(cls, environment: Environment) -> "StoreSettings":
        """Read the four addresses and keys.

        raises  SettingsError
        """
        return cls(
            supabase_url=_required(environment, "SUPABASE_URL").rstrip("/"),
            supabase_key=_required(environment, "SUPABASE_SERVICE_ROLE_KEY"),
            redis_url=_required(environment, "UPSTASH_REDIS_REST_URL").rstrip("/"),
            redis_token=_required(environment, "UPSTASH_REDIS_REST_TOKEN"),
        )


@dataclass(frozen=True, slots=True)
class AddressSource:
    """Who vouches for the client's address; trusted_proxies counts, where that is a proxy, how many stand before us."""

    platform: Platform
    trusted_proxies: int = 1

    @property
    def tells_of_hang_ups(self) -> bool:
        """Whether a server of our own holds the connection: Lambda never tells, and Vercel may freeze us if it does."""
        return self.platform in {"direct", "proxy"}


@dataclass(frozen=True, slots=True)
class ProviderCredentials:
    """How one provider is reached by us; base_url is None where the provider's record already says it."""

    api_key: str = field(repr=False)
    base_url: str | None


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """What the catalog function needs."""

    stores: StoreSettings

    @classmethod
    def read(cls, environment: Environment) -> "CatalogSettings":
        """Read the catalog's settings.

        raises  SettingsError
        """
        return cls(stores=StoreSettings.read(environment))


@dataclass(frozen=True, slots=True)
class ScheduledSettings:
    """What the jobs need; without a cron_secret nothing may start them over HTTP.

    providers: those that can be asked afterwards what an answer used
    """

    stores: StoreSettings
    providers: Mapping[ProviderSlug, ProviderCredentials]
    cron_secret: str | None = field(repr=False)

    @classmethod
    def read(cls, environment: Environment) -> "ScheduledSettings":
        """Read the jobs' settings.

        raises  SettingsError
        """
        cron_secret = environment.get("CRON_SECRET", "").strip()
        if cron_secret and len(cron_secret) < MINIMUM_CRON_SECRET_LENGTH:
            raise SettingsError(f"CRON_SECRET needs at least {MINIMUM_CRON_SECRET_LENGTH} characters")
        return cls(
            stores=StoreSettings.read(environment),
            providers=_providers(environment),
            cron_secret=cron_secret or None,
        )


@dataclass(frozen=True, slots=True)
class ParameterStoreSettings:
    """Which variables a function on AWS reads from Parameter Store, and the credentials that its role has there."""

    path: str
    names: tuple[str, ...]
    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)

    @classmethod
    def read(cls, environment: Environment) -> "ParameterStoreSettings | None":
        """Read where the parameters stand; None where the function has none.

        raises  SettingsError
        source  https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (what Lambda sets by itself);
                https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html (AWS_ENDPOINT_URL_SSM)
        """
        names = tuple(name.strip() for name in environment.get("PARAMETERS", "").split(",") if name.strip())
        if not names:
            return None
        region = _required(environment, "AWS_REGION")
        endpoint = environment.get("AWS_ENDPOINT_URL_SSM") or environment.get("AWS_ENDPOINT_URL")
        return cls(
            path=_required(environment, "PARAMETERS_PATH").rstrip("/"),
            names=names,
            endpoint=(endpoint or f"https://ssm.{region}.amazonaws.com").rstrip("/"),
            region=region,
            access_key_id=_required(environment, "AWS_ACCESS_KEY_ID"),
            secret_access_key=_required(environment, "AWS_SECRET_ACCESS_KEY"),
            session_token=environment.get("AWS_SESSION_TOKEN", ""),
        )


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What the chat function needs.

    time_limit_s is the platform's own limit; the function answers by itself before it.
    connection_silence_limit_s: for how long the platform keeps a connection on which nothing is sent. A stream sends
    something every 15 s; a whole completion that would take longer could be paid for and never arrive.
    silence_limit_s: for how long a provider's stream may send nothing before it counts as cut.
    hold_grace_s: for how long a hold outlives its request's own deadline, for a settlement that is slow.
    secret_keys are newest first: the first one signs, all of them are recognised.
    """

    stores: StoreSettings
    secret_keys: tuple[str, ...] = field(repr=False)
    providers: Mapping[ProviderSlug, ProviderCredentials]
    address_source: AddressSource
    time_limit_s: int
    connection_silence_limit_s: int
    silence_limit_s: int
    hold_grace_s: int

    @classmethod
    def read(cls, environment: Environment) -> "ChatSettings":
        """Read the chat function's settings.

        raises  SettingsError
        """
        time_limit_s = _positive_int(environment, "FUNCTION_TIME_LIMIT_S", DEFAULT_TIME_LIMIT_S)
        return cls(
            stores=StoreSettings.read(environment),
            secret_keys=_secret_keys(environment),
            providers=_providers(environment),
            address_source=_address_source(environment),
            time_limit_s=time_limit_s,
            connection_silence_limit_s=_positive_int(environment, "CONNECTION_SILENCE_LIMIT_S", time_limit_s),
            silence_limit_s=_positive_int(environment, "PROVIDER_SILENCE_LIMIT_S", DEFAULT_SILENCE_LIMIT_S),
            hold_grace_s=_positive_int(environment, "HOLD_GRACE_S", DEFAULT_HOLD_GRACE_S),
        )


def _required(environment: Environment, name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set")
    return value


def _secret_keys(environment: Environment) -> tuple[str, ...]:
    secrets = tuple(secret.strip() for secret in _required(environment, "SECRET_KEY").split(","))
    if any(len(secret) < MINIMUM_SECRET_LENGTH for secret in secrets):
        raise SettingsError(f"SECRET_KEY: each secret of the list needs at least {MINIMUM_SECRET_LENGTH} characters")
    return secrets


def _providers(environment: Environment) -> dict[ProviderSlug, ProviderCredentials]:
    providers: dict[ProviderSlug, ProviderCredentials] = {}
    for slug in PROVIDER_SLUGS:
        api_key = environment.get(f"{slug.upper()}_API_KEY", "").strip()
        base_url = environment.get(f"{slug.upper()}_BASE_URL", "").strip().rstrip("/")
        if base_url and not api_key:
            raise SettingsError(f"{slug.upper()}_BASE_URL is set but {slug.upper()}_API_KEY is not")
        if api_key:
            providers[ProviderSlug(slug)] = ProviderCredentials(api_key=api_key, base_url=base_url or None)
    return providers


def _address_source(environment: Environment) -> AddressSource:
    value = environment.get("CLIENT_ADDRESS_SOURCE", "direct").strip()
    trusted_proxies = _positive_int(environment, "TRUSTED_PROXY_COUNT", 1)
    if value != "proxy" and environment.get("TRUSTED_PROXY_COUNT", "").strip():
        raise SettingsError("TRUSTED_PROXY_COUNT is set but CLIENT_ADDRESS_SOURCE is not proxy")
    for variable, platform in PLATFORM_SIGNS.items():
        if environment.get(variable) and value != platform:
            raise SettingsError(f"CLIENT_ADDRESS_SOURCE must be {platform} here, not {value!r}")
    for platform in PLATFORMS:
        if value == platform:
            return AddressSource(platform, trusted_proxies)
    raise SettingsError(f"CLIENT_ADDRESS_SOURCE must be one of {', '.join(PLATFORMS)}, not {value!r}")


def _positive_int(environment: Environment, name: str, default: int) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise SettingsError(f"{name} must be a whole number above 0, not {text!r}")
    return int(text)
