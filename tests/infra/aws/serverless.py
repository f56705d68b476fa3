"""serverless.yml and its fragments, as the tests read them."""

from typing import Any

from infra.aws.template import ROOT, DeployedFunction, read_template

FRAGMENTS = sorted((ROOT / "infra" / "aws").glob("*.yml"))


def resources() -> dict[str, dict[str, Any]]:
    """Return every resource of every fragment by its name."""
    return {name: resource for path in FRAGMENTS for name, resource in read_template(path).get("Resources", {}).items()}


def streams(function: DeployedFunction) -> bool:
    """Whether it runs under the web adapter, which streams, and not under Lambda's own Python runtime."""
    return bool(function.block["handler"].endswith(".sh"))


def has_address(function: DeployedFunction) -> bool:
    """Whether it has a URL of its own beside the API."""
    return "url" in function.block


def is_scheduled(function: DeployedFunction) -> bool:
    """Whether the clock starts it."""
    return any("schedule" in event for event in function.block["events"])


def http_events(function: DeployedFunction) -> list[dict[str, Any]]:
    """Return the events by which the API calls it."""
    return [event["http"] for event in function.block["events"] if "http" in event]
