"""How the services are reached that a gateway may have: its stores, model providers, and Privy."""

import re
from dataclasses import dataclass, field

from shared.core.ids import ProviderSlug
from shared.core.p256 import read_public_key
from shared.core.variables import Environment, SettingsError, required

PROVIDER_SLUGS = ("openrouter", "portkey", "featherless", "chutes")
# Whose keys come over the open net believes whoever answers there.
TRUSTED_JWKS_ADDRESS = re.compile(r"https://\S+|http://(?:127\.0\.0\.1|localhost)(?::\d+)?/\S*")
PRIVY_APP_ID = re.compile(r"[\w-]{1,100}", re.ASCII)


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
            supabase_url=required(environment, "SUPABASE_URL").rstrip("/"),
            supabase_key=required(environment, "SUPABASE_SERVICE_ROLE_KEY"),
            redis_url=required(environment, "UPSTASH_REDIS_REST_URL").rstrip("/"),
            redis_token=required(environment, "UPSTASH_REDIS_REST_TOKEN"),
        )


@dataclass(frozen=True, slots=True)
class ProviderCredentials:
    """How one provider is reached by us; base_url is None where the provider's record already says it."""

    api_key: str = field(repr=False)
    base_url: str | None


@dataclass(frozen=True, slots=True)
class PrivySettings:
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
