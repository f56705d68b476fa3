"""The environment of the gateway when its stores and providers are the local stack's."""

from collections.abc import Mapping
from pathlib import Path

from infra.local.ports import LOOPBACK
from infra.local.privy_tokens import LOCAL_APP_ID
from infra.local.stack import LocalStack
from shared.core.integrations import PROVIDER_SLUGS

SIMULATED_API_KEY = "simulated"
STRIPE_API_KEY = "sk_test_local"
STRIPE_WEBHOOK_SECRET = "whsec_of_the_local_stack"
# Where `make dev` answers unless told.
GATEWAY_URL = f"http://{LOOPBACK}:8000"
RESEND_API_KEY = "re_local"
# Of a form that Resend's have: what follows the prefix is Base64.
RESEND_WEBHOOK_SECRET = "whsec_b2YgdGhlIGxvY2FsIHN0YWNrJ3MgbWFpbCBjYXRjaGVy"
EMAIL_FROM = "AI Gateway <gateway@localhost.test>"
RESEND_VARIABLES = ("RESEND_API_KEY", "EMAIL_FROM", "RESEND_WEBHOOK_SECRET", "RESEND_URL")
STRIPE_VARIABLES = ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_URL")
PRIVY_VARIABLES = ("PRIVY_APP_ID", "PRIVY_VERIFICATION_KEY", "PRIVY_JWKS_URL")


def gateway_environment(
    stack: LocalStack, given: Mapping[str, str], *, gateway_url: str = GATEWAY_URL
) -> dict[str, str]:
    """Return the variables of every function of the gateway that answers at gateway_url.

    A provider whose <PROVIDER>_API_KEY is given is reached as given; every other one is the simulator. Likewise people
    sign in at the app of a given PRIVY_APP_ID, and else with the tokens of the stack's own issuer,
    and pay at the account of a given STRIPE_SECRET_KEY, and else at the stack's double. E-mails leave by the account of
    a given RESEND_API_KEY, and else are caught.
    """
    variables = {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_KEY": stack.credentials.publishable_key,
        "SUPABASE_SERVICE_ROLE_KEY": stack.credentials.secret_key,
        "UPSTASH_REDIS_REST_URL": stack.redis_rest_url,
        "UPSTASH_REDIS_REST_TOKEN": stack.credentials.redis_token,
        "SECRET_KEY": stack.credentials.gateway_secret,
        "CLIENT_ADDRESS_SOURCE": "direct",
        "GATEWAY_URL": gateway_url,
        "ADMIN_API_KEY": stack.credentials.admin_api_key,
    }
    if given.get("STRIPE_SECRET_KEY"):
        variables |= {name: given[name] for name in STRIPE_VARIABLES if given.get(name)}
    else:
        own = (STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET, stack.stripe_url)
        variables |= dict(zip(STRIPE_VARIABLES, own, strict=True))
    if given.get("RESEND_API_KEY"):
        variables |= {name: given[name] for name in RESEND_VARIABLES if given.get(name)}
    else:
        caught = (RESEND_API_KEY, EMAIL_FROM, RESEND_WEBHOOK_SECRET, stack.mail_url)
        variables |= dict(zip(RESEND_VARIABLES, caught, strict=True))
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
        "ADMIN_API_KEY": stack.credentials.admin_api_key,
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_KEY": stack.credentials.publishable_key,
        "SUPABASE_SERVICE_ROLE_KEY": stack.credentials.secret_key,
        "DATABASE_URL": stack.database_url,
        "UPSTASH_REDIS_REST_URL": stack.redis_rest_url,
        "UPSTASH_REDIS_REST_TOKEN": stack.credentials.redis_token,
        "PROVIDER_SIM_URL": stack.simulator_url,
        "PRIVY_URL": stack.privy_url,
        "STRIPE_URL": stack.stripe_url,
        "STRIPE_WEBHOOK_SECRET": STRIPE_WEBHOOK_SECRET,
        "MAIL_URL": stack.mail_url,
        "RESEND_WEBHOOK_SECRET": RESEND_WEBHOOK_SECRET,
        "SECRET_KEY": stack.credentials.gateway_secret,
    }


def write_environment(path: Path, variables: Mapping[str, str]) -> None:
    """Write the variables so that a shell can source them; only the owner may read."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
