"""What the platform under a function tells it: the client's address, and where its variables are kept."""

from typing import Literal

from shared.core.variables import Environment, Setting, SettingsError, positive_int, required

Platform = Literal["vercel", "lambda", "direct", "proxy"]

PLATFORMS: tuple[Platform, ...] = ("vercel", "lambda", "direct", "proxy")
# What a platform sets in every function. Elsewhere than where it says, the address would be a proxy's or a forger's.
# source: https://vercel.com/docs/environment-variables/system-environment-variables,
#         https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
PLATFORM_SIGNS: dict[str, Platform] = {"VERCEL": "vercel", "AWS_LAMBDA_FUNCTION_NAME": "lambda"}


class AddressSource(Setting, frozen=True):
    """Who vouches for the client's address; trusted_proxies counts, where that is a proxy, how many stand before us."""

    platform: Platform
    trusted_proxies: int = 1

    @property
    def tells_of_hang_ups(self) -> bool:
        """Whether a server of our own holds the connection: Lambda never tells, and Vercel may freeze us if it does."""
        return self.platform in {"direct", "proxy"}


class ParameterStoreSettings(Setting, frozen=True):
    """Which variables a function on AWS reads from Parameter Store, and the credentials that its role has there."""

    path: str
    names: tuple[str, ...]
    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str

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
        region = required(environment, "AWS_REGION")
        endpoint = environment.get("AWS_ENDPOINT_URL_SSM") or environment.get("AWS_ENDPOINT_URL")
        return cls(
            path=required(environment, "PARAMETERS_PATH").rstrip("/"),
            names=names,
            endpoint=(endpoint or f"https://ssm.{region}.amazonaws.com").rstrip("/"),
            region=region,
            access_key_id=required(environment, "AWS_ACCESS_KEY_ID"),
            secret_access_key=required(environment, "AWS_SECRET_ACCESS_KEY"),
            session_token=environment.get("AWS_SESSION_TOKEN", ""),
        )


def read_address_source(environment: Environment) -> AddressSource:
    """Return who vouches for the client's address here.

    raises  SettingsError
    """
    value = environment.get("CLIENT_ADDRESS_SOURCE", "direct").strip()
    trusted_proxies = positive_int(environment, "TRUSTED_PROXY_COUNT", 1)
    if value != "proxy" and environment.get("TRUSTED_PROXY_COUNT", "").strip():
        raise SettingsError("TRUSTED_PROXY_COUNT is set but CLIENT_ADDRESS_SOURCE is not proxy")
    for variable, platform in PLATFORM_SIGNS.items():
        if environment.get(variable) and value != platform:
            raise SettingsError(f"CLIENT_ADDRESS_SOURCE must be {platform} here, not {value!r}")
    for platform in PLATFORMS:
        if value == platform:
            return AddressSource(platform, trusted_proxies)
    raise SettingsError(f"CLIENT_ADDRESS_SOURCE must be one of {', '.join(PLATFORMS)}, not {value!r}")
