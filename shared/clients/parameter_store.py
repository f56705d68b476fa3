"""AWS Systems Manager Parameter Store, where a deployed function's secrets stand."""

import asyncio
import json
import random
from datetime import UTC, datetime

from shared.clients.aws_signature import AwsCredentials, sign_post
from shared.core.log import log_event
from shared.core.platform import ParameterStoreSettings
from shared.core.settings import read_environment
from shared.core.variables import Environment

# GetParameters takes at most ten names.
BATCH_SIZE = 10
DEADLINE_S = 2.0
# Parameter Store gives an account 40 answers a second, so a crowd of instances that start together has to spread: each
# pause is a random part of twice the one before. Lambda gives a start ten seconds, of which importing takes one.
# source: https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm
ATTEMPTS = 6
WITHIN_S = 8.0
FIRST_PAUSE_S = 0.2
# What waiting does not mend.
FINAL_REFUSALS = ("AccessDeniedException", "UnrecognizedClientException", "InvalidKeyId", "ValidationException")


class ParametersUnavailable(Exception):
    """Parameter Store did not give the function its parameters; it cannot start."""


async def load_environment() -> Environment:
    """Return a function's variables: the process's own and, on AWS, those that Parameter Store keeps for it.

    raises  SettingsError, ParametersUnavailable; a parameter that is not there is simply not set
    """
    environment = read_environment()
    settings = ParameterStoreSettings.read(environment)
    if settings is None:
        return environment
    return {**await read_parameters(settings), **environment}


async def read_parameters(settings: ParameterStoreSettings) -> dict[str, str]:
    """Return the parameters that exist, by their name without the path.

    raises  ParametersUnavailable after ATTEMPTS or WITHIN_S
    source  https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
    """
    names = settings.names
    batches = [names[start : start + BATCH_SIZE] for start in range(0, len(names), BATCH_SIZE)]
    try:
        async with asyncio.timeout(WITHIN_S):
            answers = await asyncio.gather(*(_read_batch(settings, batch) for batch in batches))
    except TimeoutError as error:
        raise ParametersUnavailable(f"Parameter Store did not give {settings.path} within {WITHIN_S:.0f} s") from error
    return {name: value for answer in answers for name, value in answer.items()}


async def _read_batch(settings: ParameterStoreSettings, names: tuple[str, ...]) -> dict[str, str]:
    from http.client import HTTPException  # noqa: PLC0415 - as in _post

    body = json.dumps({"Names": [f"{settings.path}/{name}" for name in names], "WithDecryption": True}).encode()
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(random.uniform(0, FIRST_PAUSE_S * 2**attempt))  # noqa: S311 - no secret
        try:
            answer = json.loads(await asyncio.to_thread(_post, settings, body))
            return {each["Name"].rpartition("/")[2]: each["Value"] for each in answer["Parameters"]}
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            reason = _reason(error)
            log_event("parameters_not_read", level="warning", attempt=attempt + 1, reason=reason)
        if reason in FINAL_REFUSALS:
            break
    raise ParametersUnavailable(f"Parameter Store did not give {settings.path}: {reason}")


def _reason(error: Exception) -> str:
    """Return AWS's own word for a refusal, else the name of what went wrong; neither holds a value."""
    read = getattr(error, "read", None)
    if read is None:
        return type(error).__name__
    try:
        refusal = json.loads(read())
        return str(refusal["__type"]).rpartition("#")[2]
    except (OSError, ValueError, KeyError, TypeError):
        return f"{type(error).__name__} {getattr(error, 'code', '')}".strip()


def _post(settings: ParameterStoreSettings, body: bytes) -> bytes:
    # Only a function on AWS needs it, and every cold start elsewhere would pay for it.
    from urllib.request import Request, urlopen  # noqa: PLC0415

    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM.GetParameters"}
    url = f"{settings.endpoint}/"
    credentials = AwsCredentials(settings.access_key_id, settings.secret_access_key, settings.session_token)
    scope = (settings.region, "ssm", datetime.now(UTC))
    signed = sign_post(url, headers, body, credentials=credentials, scope=scope)
    request = Request(url, data=body, headers=signed, method="POST")  # noqa: S310 - the settings name the endpoint
    with urlopen(request, timeout=DEADLINE_S) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content
