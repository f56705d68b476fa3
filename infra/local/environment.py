"""The environment of the gateway when its stores and providers are the local stack's."""

from collections.abc import Mapping
from pathlib import Path

from infra.local.privy_tokens import LOCAL_APP_ID
from infra.local.stack import LocalStack
from shared.core.integrations import PROVIDER_SLUGS

SIMULATED_API_KEY = "simulated"
PRIVY_VARIABLES = ("PRIVY_APP_ID", "PRIVY_VERIFICATION_KEY", "PRIVY_JWKS_URL")


def gateway_environment(stack: LocalStack, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of every function.

    A provider whose <PROVIDER>_API_KEY is given is reached as given; every other one is the simulator. Likewise people
    sign in at the app of a given PRIVY_APP_ID, and else with the tokens of the stack's own issuer.
    """
    variables = {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_KEY": stack.credentials.publishable_key,
        "SUPABASE_SERVICE_ROLE_KEY": stack.credentials.secret_key,
        "UPSTASH_REDIS_REST_URL": stack.redis_rest_url,
        "UPSTASH_REDIS_REST_TOKEN": stack.credentials.redis_token,
        "SECRET_KEY": stack.credentials.gateway_secret,
        "CLIENT_ADDRESS_SOURCE": "direct",
    }
    if given.get("PRIVY_APP_ID"):
        variables |= {name: given[name] for name in PRIVY_VARIABLES if given.get(name)}
    else:
        variables |= {"PRIVY_APP_ID": LOCAL_APP_ID, "PRIVY_JWKS_URL": stack.jwks_url}
    for slug in PROVIDER_SLUGS:
        key_name, url_name = f"{slug.upper()}_API_KEY", f"{slug.upper()}_BASE_URL"
        if given.get(key_name):
            variables |= {name: given[name] for name in (key_name, url_name) if given.get(name)}
        else:
            variables |= {key_name: SIMULATED_API_KEY, url_name: f"{stack.simulator_url}/{slug}/v1"}
    return variables


def developer_environment(stack: LocalStack, gateway_url: str, api_key: str) -> dict[str, str]:
    """Return what a developer's shell, tests and tools need to reach the running stack."""
    return {
        "GATEWAY_URL": gateway_url,
        "GATEWAY_API_KEY": api_key,
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_KEY": stack.credentials.publishable_key,
        "SUPABASE_SERVICE_ROLE_KEY": stack.credentials.secret_key,
        "DATABASE_URL": stack.database_url,
        "UPSTASH_REDIS_REST_URL": stack.redis_rest_url,
        "UPSTASH_REDIS_REST_TOKEN": stack.credentials.redis_token,
        "PROVIDER_SIM_URL": stack.simulator_url,
        "PRIVY_URL": stack.privy_url,
        "SECRET_KEY": stack.credentials.gateway_secret,
    }


def write_environment(path: Path, variables: Mapping[str, str]) -> None:
    """Write the variables so that a shell can source them; only the owner may read."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
