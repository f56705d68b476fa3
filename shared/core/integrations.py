"""How the services are reached that a gateway may have: stores, model providers, Privy, Stripe, Resend."""

import base64
import re

from shared.core.ids import ProviderSlug
from shared.core.p256 import read_public_key
from shared.core.variables import Environment, Setting, SettingsError, required

PROVIDER_SLUGS = ("openrouter", "portkey", "featherless", "chutes")
# Whose keys come over the open net believes whoever answers there.
TRUSTED_JWKS_ADDRESS = re.compile(r"https://\S+|http://(?:127\.0\.0\.1|localhost)(?::\d+)?/\S*")
# What goes there is a secret of ours, or money follows from what is answered there.
TRUSTED_ADDRESS = re.compile(r"https://[^\s/]+(?:/\S*)?|http://(?:127\.0\.0\.1|localhost)(?::\d+)?(?:/\S*)?")
# Payments and e-mails lead back to us.
TOLD_BY = ("APP_URL", "STRIPE_SECRET_KEY", "RESEND_API_KEY")
# Svix makes them of 24 bytes or more.
SHORTEST_SIGNING_SECRET_BYTES = 16
# Stripe's dashboard makes them of 32 letters and digits, its command line of 64.
STRIPE_SIGNING_SECRET = re.compile(r"whsec_\w{16,200}", re.ASCII)
_ADDRESS = r"[^\s<>@,;]+@(?:[^\s<>@,;.]+\.)+[^\s<>@,;.]+"
SENDER = re.compile(rf"{_ADDRESS}|[^<>\r\n]*<{_ADDRESS}>")
PRIVY_APP_ID = re.compile(r"[\w-]{1,100}", re.ASCII)


class StoreSettings(Setting, frozen=True):
    """Where state lives: Supabase for all of it, Upstash Redis for rate limits."""

    supabase_url: str
    supabase_key: str
    redis_url: str
    redis_token: str

    @classmethod
    def read(cls, environment: Environment) -> "StoreSettings":
        """Read the four addresses and keys.

        raises  SettingsError
        """
        return cls(
            supabase_url=required(environment, "SUPABASE_URL").rstrip("/"),
            supabase_key=required(environment, "SUPABASE_SERVICE_ROLE_KEY"),
            redis_url=required(environment, "UPSTASH_REDIS_REST_URL").rstrip("/"),
            redis_token=required(environment, "UPSTASH_REDIS_REST_TOKEN"),
        )


class ArchiveSettings(Setting, frozen=True):
    """The bucket that closed months are copied to; without keys it is reached as the function's own role.

    url: of what speaks as S3 does; None for Amazon's own
    """

    bucket: str
    region: str | None
    access_key_id: str | None
    secret_access_key: str | None
    url: str | None

    @classmethod
    def read(cls, environment: Environment) -> "ArchiveSettings | None":
        """Read the archive's settings; None where nothing is archived.

        raises  SettingsError for a part without the bucket, for half of the keys, and for an address in the clear
        """
        bucket = environment.get("ARCHIVE_BUCKET", "").strip() or None
        region = environment.get("ARCHIVE_REGION", "").strip() or None
        key_id = environment.get("ARCHIVE_ACCESS_KEY_ID", "").strip() or None
        secret = environment.get("ARCHIVE_SECRET_ACCESS_KEY", "").strip() or None
        url = environment.get("ARCHIVE_URL", "").strip() or None
        if bucket is None:
            if region or key_id or secret or url:
                raise SettingsError("a part of the archive's variables is set but ARCHIVE_BUCKET is not")
            return None
        if (key_id is None) != (secret is None):
            raise SettingsError("ARCHIVE_ACCESS_KEY_ID and ARCHIVE_SECRET_ACCESS_KEY are needed together")
        if url is not None and not TRUSTED_ADDRESS.fullmatch(url):
            raise SettingsError("ARCHIVE_URL must begin with https://")
        return cls(bucket=bucket, region=region, access_key_id=key_id, secret_access_key=secret, url=url)


class ProviderCredentials(Setting, frozen=True):
    """How one provider is reached by us; base_url is None where the provider's record already says it."""

    api_key: str
    base_url: str | None


class PrivySettings(Setting, frozen=True):
    """The app at Privy whose users may sign in here.

    verification_key: the app's public key as PEM; None where it is looked up at jwks_url, which follows Privy when its
    keys change.
    """

    app_id: str
    verification_key: str | None
    jwks_url: str

    @classmethod
    def read(cls, environment: Environment) -> "PrivySettings | None":
        """Read Privy's settings; None where nobody can sign in.

        raises  SettingsError for a part without the app's id, for both a key and an address, and for one that
                cannot be trusted
        source  https://docs.privy.io/authentication/user-authentication/access-tokens (verification key and JWKS)
        """
        app_id = environment.get("PRIVY_APP_ID", "").strip()
        key = environment.get("PRIVY_VERIFICATION_KEY", "").strip()
        jwks_url = environment.get("PRIVY_JWKS_URL", "").strip()
        if not app_id:
            if key or jwks_url:
                raise SettingsError("PRIVY_VERIFICATION_KEY or PRIVY_JWKS_URL is set but PRIVY_APP_ID is not")
            return None
        if not PRIVY_APP_ID.fullmatch(app_id):
            raise SettingsError(f"PRIVY_APP_ID is no id of an app: {app_id!r}")
        if key and jwks_url:
            raise SettingsError(
                "PRIVY_VERIFICATION_KEY and PRIVY_JWKS_URL are both set; one of them says which key counts"
            )
        if jwks_url and not TRUSTED_JWKS_ADDRESS.fullmatch(jwks_url):
            raise SettingsError(f"PRIVY_JWKS_URL must begin with https://, not {jwks_url!r}")
        return cls(
            app_id=app_id,
            verification_key=_verification_key(key) if key else None,
            jwks_url=jwks_url or f"https://auth.privy.io/api/v1/apps/{app_id}/jwks.json",
        )


class StripeSettings(Setting, frozen=True):
    """The account at Stripe that payments go to.

    webhook_secrets: any of them may have signed, so that one can be rolled
    api_url: None where Stripe's own is meant
    is_taxed: Stripe works out taxes and adds them to what is sold
    """

    secret_key: str
    webhook_secrets: tuple[str, ...]
    api_url: str | None
    is_taxed: bool = False

    @classmethod
    def read(cls, environment: Environment) -> "StripeSettings | None":
        """Read Stripe's settings; None where nothing is sold.

        raises  SettingsError for one of key and webhook secret without the other, for a secret that is none, and for a
                switch that is neither true nor false
        """
        secret_key = environment.get("STRIPE_SECRET_KEY", "").strip()
        secrets = tuple(secret.strip() for secret in environment.get("STRIPE_WEBHOOK_SECRET", "").split(","))
        if not secret_key:
            if any(secrets) or environment.get("STRIPE_URL", "").strip():
                raise SettingsError("STRIPE_WEBHOOK_SECRET or STRIPE_URL is set but STRIPE_SECRET_KEY is not")
            return None
        if not all(secrets):
            raise SettingsError(
                "STRIPE_SECRET_KEY is set but STRIPE_WEBHOOK_SECRET is not, or holds an empty one: anybody could tell"
                " this gateway that he has paid"
            )
        if not all(STRIPE_SIGNING_SECRET.fullmatch(secret) for secret in secrets):
            raise SettingsError("STRIPE_WEBHOOK_SECRET is not a signing secret as Stripe's dashboard shows it: whsec_…")
        return cls(
            secret_key=secret_key,
            webhook_secrets=secrets,
            api_url=_own_address(environment, "STRIPE_URL"),
            is_taxed=_switch(environment.get("STRIPE_AUTOMATIC_TAX", ""), "STRIPE_AUTOMATIC_TAX"),
        )


class MailSettings(Setting, frozen=True):
    """The account at Resend that e-mail leaves by.

    sender: as a mail's From has it: name <address>
    webhook_secret: None where nobody tells what bounced
    api_url: None where Resend's own is meant
    """

    api_key: str
    sender: str
    webhook_secret: str | None
    api_url: str | None

    @classmethod
    def read(cls, environment: Environment) -> "MailSettings | None":
        """Read Resend's settings; None where no e-mail is sent.

        raises  SettingsError for one of key and sender without the other, and for a webhook secret that is none:
                anybody could sign with what is left of it
        """
        api_key = environment.get("RESEND_API_KEY", "").strip()
        sender = environment.get("EMAIL_FROM", "").strip()
        webhook_secret = environment.get("RESEND_WEBHOOK_SECRET", "").strip()
        if not api_key:
            if sender or webhook_secret or environment.get("RESEND_URL", "").strip():
                raise SettingsError("EMAIL_FROM, RESEND_WEBHOOK_SECRET or RESEND_URL is set but RESEND_API_KEY is not")
            return None
        if not SENDER.fullmatch(sender):
            raise SettingsError("RESEND_API_KEY is set but EMAIL_FROM is not: Name <address@your-domain.com>")
        if webhook_secret and not _is_svix_secret(webhook_secret):
            raise SettingsError("RESEND_WEBHOOK_SECRET is not a signing secret as Resend's dashboard shows it: whsec_…")
        return cls(
            api_key=api_key,
            sender=sender,
            webhook_secret=webhook_secret or None,
            api_url=_own_address(environment, "RESEND_URL"),
        )


class PublicSettings(Setting, frozen=True):
    """Where people find us: gateway_url leads to this gateway, app_url to the page that they use it by.

    Both are empty where nothing is sold and no e-mail is sent: then nobody is told them.
    """

    gateway_url: str
    app_url: str

    @classmethod
    def read(cls, environment: Environment) -> "PublicSettings":
        """Read both addresses; the page is the gateway's console unless told.

        raises  SettingsError
        """
        gateway_url = environment.get("GATEWAY_URL", "").strip().rstrip("/")
        if not gateway_url:
            if told := [name for name in TOLD_BY if environment.get(name, "").strip()]:
                raise SettingsError(f"{told[0]} is set but GATEWAY_URL is not")
            return cls(gateway_url="", app_url="")
        _check_address("GATEWAY_URL", gateway_url)
        app_url = environment.get("APP_URL", "").strip().rstrip("/") or f"{gateway_url}/console"
        _check_address("APP_URL", app_url)
        return cls(gateway_url=gateway_url, app_url=app_url)


def read_providers(environment: Environment) -> dict[ProviderSlug, ProviderCredentials]:
    """Return the providers that there are credentials for.

    raises  SettingsError
    """
    providers: dict[ProviderSlug, ProviderCredentials] = {}
    for slug in PROVIDER_SLUGS:
        api_key = environment.get(f"{slug.upper()}_API_KEY", "").strip()
        base_url = environment.get(f"{slug.upper()}_BASE_URL", "").strip().rstrip("/")
        if base_url and not api_key:
            raise SettingsError(f"{slug.upper()}_BASE_URL is set but {slug.upper()}_API_KEY is not")
        if api_key:
            providers[ProviderSlug(slug)] = ProviderCredentials(api_key=api_key, base_url=base_url or None)
    return providers


def _verification_key(text: str) -> str:
    key = read_public_key(text)
    if key is None:
        raise SettingsError(
            "PRIVY_VERIFICATION_KEY is not the key that Privy's dashboard shows; copy it again, as it is"
        )
    return key


def _is_svix_secret(text: str) -> bool:
    try:
        return len(base64.b64decode(text.removeprefix("whsec_"), validate=True)) >= SHORTEST_SIGNING_SECRET_BYTES
    except ValueError:
        return False


def _switch(text: str, name: str) -> bool:
    word = text.strip().lower()
    if word not in {"", "true", "false"}:
        raise SettingsError(f"{name} is true or false, not {text!r}")
    return word == "true"


def _own_address(environment: Environment, name: str) -> str | None:
    address = environment.get(name, "").strip().rstrip("/")
    if address:
        _check_address(name, address)
    return address or None


def _check_address(name: str, address: str) -> None:
    if not TRUSTED_ADDRESS.fullmatch(address):
        raise SettingsError(f"{name} must begin with https://, not {address!r}")
