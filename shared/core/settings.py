"""The only reader of the environment: one frozen settings class per function, listing exactly what it needs."""

import os
from collections.abc import Mapping
from typing import Self

from shared.core.collector import CollectorSettings
from shared.core.ids import ProviderSlug
from shared.core.integrations import (
    ArchiveSettings,
    MailSettings,
    PrivySettings,
    ProviderCredentials,
    PublicSettings,
    StoreSettings,
    StripeSettings,
    read_providers,
)
from shared.core.metrics import Metrics
from shared.core.platform import AddressSource, read_address_source
from shared.core.variables import Environment, Setting, SettingsError, positive_int, required

MINIMUM_SECRET_LENGTH = 32
MINIMUM_CRON_SECRET_LENGTH = 16
MINIMUM_ADMIN_KEY_LENGTH = 32
DEFAULT_TIME_LIMIT_S = 300
# Reasoning models may think for a minute without a word.
DEFAULT_SILENCE_LIMIT_S = 120
DEFAULT_HOLD_GRACE_S = 60


def read_environment() -> Environment:
    """Return the process's environment; nothing else may ask for it."""
    return os.environ


class CatalogSettings(Setting, frozen=True):
    """What the catalog function needs."""

    stores: StoreSettings

    @classmethod
    def read(cls, environment: Environment) -> "CatalogSettings":
        """Read the catalog's settings.

        raises  SettingsError
        """
        return cls(stores=StoreSettings.read(environment))


class ScheduledSettings(Setting, frozen=True):
    """What the jobs need; without a cron_secret nothing may start them over HTTP.

    providers: those that can be asked afterwards what an answer used
    secret_keys are newest first; keys that rotate by themselves get their new secrets under the first
    stripe, mail, archive: None where nothing is sold, no e-mail is sent, nothing is archived
    imports_ranking: OpenRouter's public numbers are ranked beside ours
    """

    stores: StoreSettings
    secret_keys: tuple[str, ...]
    providers: Mapping[ProviderSlug, ProviderCredentials]
    stripe: StripeSettings | None
    mail: MailSettings | None
    public: PublicSettings
    imports_ranking: bool
    archive: ArchiveSettings | None
    cron_secret: str | None
    metrics: Metrics

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
            secret_keys=_secret_keys(environment),
            providers=read_providers(environment),
            stripe=StripeSettings.read(environment),
            mail=MailSettings.read(environment),
            public=PublicSettings.read(environment),
            imports_ranking=_imports_ranking(environment),
            archive=ArchiveSettings.read(environment),
            cron_secret=cron_secret or None,
            metrics=Metrics.read(environment),
        )


class DeskSettings(Setting, frozen=True):
    """What a function needs that answers people about what is theirs. secret_keys are newest first.

    privy: None where nobody can sign in
    """

    stores: StoreSettings
    secret_keys: tuple[str, ...]
    address_source: AddressSource
    privy: PrivySettings | None

    @classmethod
    def read(cls, environment: Environment) -> Self:
        """Read the function's settings.

        raises  SettingsError
        """
        return cls(
            stores=StoreSettings.read(environment),
            secret_keys=_secret_keys(environment),
            address_source=read_address_source(environment),
            privy=PrivySettings.read(environment),
        )


class AuthSettings(DeskSettings, frozen=True):
    """What the function of sign-ins needs."""


class KeysSettings(DeskSettings, frozen=True):
    """What the function of people's keys needs."""


class HistorySettings(DeskSettings, frozen=True):
    """What the function of people's stored chats needs."""


class AdminSettings(DeskSettings, frozen=True):
    """What the function of admins needs; admin_api_key: None where only people operate whose role is admin."""

    admin_api_key: str | None

    @classmethod
    def read(cls, environment: Environment) -> "AdminSettings":
        """Read the function's settings.

        raises  SettingsError
        """
        admin_api_key = environment.get("ADMIN_API_KEY", "").strip()
        if admin_api_key and len(admin_api_key) < MINIMUM_ADMIN_KEY_LENGTH:
            raise SettingsError(f"ADMIN_API_KEY needs at least {MINIMUM_ADMIN_KEY_LENGTH} characters")
        desk = DeskSettings.read(environment)
        return cls(
            stores=desk.stores,
            secret_keys=desk.secret_keys,
            address_source=desk.address_source,
            privy=desk.privy,
            admin_api_key=admin_api_key or None,
        )


class AccountSettings(DeskSettings, frozen=True):
    """What the function of people's accounts needs; mail: None where no e-mail is sent."""

    mail: MailSettings | None
    public: PublicSettings

    @classmethod
    def read(cls, environment: Environment) -> "AccountSettings":
        """Read the function's settings.

        raises  SettingsError
        """
        desk = DeskSettings.read(environment)
        return cls(
            stores=desk.stores,
            secret_keys=desk.secret_keys,
            address_source=desk.address_source,
            privy=desk.privy,
            mail=MailSettings.read(environment),
            public=PublicSettings.read(environment),
        )


class BillingSettings(AccountSettings, frozen=True):
    """What the function of plans and payments needs; stripe: None where nothing is sold."""

    stripe: StripeSettings | None

    @classmethod
    def read(cls, environment: Environment) -> "BillingSettings":
        """Read the function's settings.

        raises  SettingsError
        """
        account = AccountSettings.read(environment)
        return cls(
            stores=account.stores,
            secret_keys=account.secret_keys,
            address_source=account.address_source,
            privy=account.privy,
            mail=account.mail,
            public=account.public,
            stripe=StripeSettings.read(environment),
        )


class StripeWebhookSettings(Setting, frozen=True):
    """What the function needs that Stripe calls; stripe, mail: None where nothing is sold, no e-mail is sent.

    secret_keys are newest first
    """

    stores: StoreSettings
    secret_keys: tuple[str, ...]
    stripe: StripeSettings | None
    mail: MailSettings | None
    public: PublicSettings

    @classmethod
    def read(cls, environment: Environment) -> "StripeWebhookSettings":
        """Read the function's settings.

        raises  SettingsError
        """
        return cls(
            stores=StoreSettings.read(environment),
            secret_keys=_secret_keys(environment),
            stripe=StripeSettings.read(environment),
            mail=MailSettings.read(environment),
            public=PublicSettings.read(environment),
        )


class InferenceSettings(Setting, frozen=True):
    """What a function needs that has providers answer.

    time_limit_s is the platform's own limit; the function answers by itself before it.
    connection_silence_limit_s: for how long the platform keeps a connection on which nothing is sent. A stream sends
    something every 15 s; a whole completion that would take longer could be paid for and never arrive.
    silence_limit_s: for how long a provider's stream may send nothing before it counts as cut.
    hold_grace_s: for how long a hold outlives its request's own deadline, for a settlement that is slow.
    secret_keys are newest first: the first one signs, all of them are recognised.
    privy: None where nobody can call as someone who is signed in; collector: None where nobody collects spans
    """

    stores: StoreSettings
    secret_keys: tuple[str, ...]
    providers: Mapping[ProviderSlug, ProviderCredentials]
    address_source: AddressSource
    privy: PrivySettings | None
    time_limit_s: int
    connection_silence_limit_s: int
    silence_limit_s: int
    hold_grace_s: int
    collector: CollectorSettings | None
    metrics: Metrics

    @classmethod
    def read(cls, environment: Environment) -> Self:
        """Read the function's settings.

        raises  SettingsError
        """
        time_limit_s = positive_int(environment, "FUNCTION_TIME_LIMIT_S", DEFAULT_TIME_LIMIT_S)
        return cls(
            stores=StoreSettings.read(environment),
            secret_keys=_secret_keys(environment),
            providers=read_providers(environment),
            address_source=read_address_source(environment),
            privy=PrivySettings.read(environment),
            time_limit_s=time_limit_s,
            connection_silence_limit_s=positive_int(environment, "CONNECTION_SILENCE_LIMIT_S", time_limit_s),
            silence_limit_s=positive_int(environment, "PROVIDER_SILENCE_LIMIT_S", DEFAULT_SILENCE_LIMIT_S),
            hold_grace_s=positive_int(environment, "HOLD_GRACE_S", DEFAULT_HOLD_GRACE_S),
            collector=CollectorSettings.read(environment),
            metrics=Metrics.read(environment),
        )


class ChatSettings(InferenceSettings, frozen=True):
    """What the chat function needs."""


class ImagesSettings(InferenceSettings, frozen=True):
    """What the images function needs."""


def _imports_ranking(environment: Environment) -> bool:
    source = environment.get("RANKING_IMPORT", "").strip()
    if source not in ("", "openrouter"):
        raise SettingsError(f"RANKING_IMPORT must be openrouter or empty, not {source!r}")
    if source and not environment.get("OPENROUTER_API_KEY", "").strip():
        raise SettingsError("RANKING_IMPORT is set but OPENROUTER_API_KEY is not")
    return bool(source)


def _secret_keys(environment: Environment) -> tuple[str, ...]:
    secrets = tuple(secret.strip() for secret in required(environment, "SECRET_KEY").split(","))
    if any(len(secret) < MINIMUM_SECRET_LENGTH for secret in secrets):
        raise SettingsError(f"SECRET_KEY: each secret of the list needs at least {MINIMUM_SECRET_LENGTH} characters")
    return secrets
