"""Where the spans of calls are sent, as OpenTelemetry's own variables say it."""

import re

from shared.core.variables import Environment, Setting, SettingsError

DEFAULT_SERVICE_NAME = "ai-gateway"
# A collector beside us, on Kubernetes say, has no certificate; any other should be reached under https.
_ENDPOINT = re.compile(r"https?://[^\s/?#]+(?:/[^\s?#]*)?")
_PAIR = re.compile(r"\s*([!#$%&'*+.^_`|~\w-]+)\s*=\s*([\x21-\x7e]*)\s*", re.ASCII)

_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")

Pairs = tuple[tuple[str, str], ...]


class CollectorSettings(Setting, frozen=True):
    """An OpenTelemetry collector; headers: what it asks for besides, a key as a rule; resource: who we are to it."""

    traces_url: str
    headers: Pairs
    resource: Pairs

    @classmethod
    def read(cls, environment: Environment) -> "CollectorSettings | None":
        """Read the collector's address; None where no spans are sent.

        raises  SettingsError for an address or a list that is none, and for headers without an address
        source  https://opentelemetry.io/docs/specs/otel/protocol/exporter/ (v1/traces below the address);
                https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
        """
        endpoint = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
        headers = _read_pairs(environment, "OTEL_EXPORTER_OTLP_HEADERS")
        resource = _read_pairs(environment, "OTEL_RESOURCE_ATTRIBUTES")
        service_name = environment.get("OTEL_SERVICE_NAME", "").strip()
        if not endpoint:
            if headers:
                raise SettingsError("OTEL_EXPORTER_OTLP_HEADERS is set but OTEL_EXPORTER_OTLP_ENDPOINT is not")
            return None
        if not _ENDPOINT.fullmatch(endpoint):
            raise SettingsError(f"OTEL_EXPORTER_OTLP_ENDPOINT must begin with https:// or http://, not {endpoint!r}")
        named = dict(resource)
        named["service.name"] = service_name or named.get("service.name") or DEFAULT_SERVICE_NAME
        return cls(f"{endpoint.rstrip('/')}/v1/traces", headers, tuple(named.items()))


def _read_pairs(environment: Environment, name: str) -> Pairs:
    """Read `key=value,key2=value2`, its values percent-encoded."""
    text = environment.get(name, "").strip()
    pairs = [_PAIR.fullmatch(part) for part in text.split(",") if part.strip()]
    read = tuple((pair[1], _decode(pair[2])) for pair in pairs if pair is not None)
    if len(read) < len(pairs) or any(not value.isprintable() for _, value in read):
        # Its values may be secrets.
        raise SettingsError(f"{name} must be a list like name=value,name=value")
    return read


def _decode(value: str) -> str:
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), value.encode()).decode(errors="replace")
