import pytest

from shared.core.collector import CollectorSettings
from shared.core.variables import SettingsError

ENDPOINT = "https://collector.example"


def read(**variables: str) -> CollectorSettings | None:
    return CollectorSettings.read(variables)


def test_without_an_address_there_is_no_collector() -> None:
    assert read() is None
    assert read(OTEL_EXPORTER_OTLP_ENDPOINT=" ") is None
    assert read(OTEL_SERVICE_NAME="gateway", OTEL_RESOURCE_ATTRIBUTES="a=1") is None


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (ENDPOINT, f"{ENDPOINT}/v1/traces"),
        (f"{ENDPOINT}/", f"{ENDPOINT}/v1/traces"),
        (f"{ENDPOINT}/api/otel", f"{ENDPOINT}/api/otel/v1/traces"),
        ("http://collector.monitoring:4318", "http://collector.monitoring:4318/v1/traces"),
    ],
)
def test_traces_go_below_the_address(endpoint: str, url: str) -> None:
    settings = read(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert settings is not None
    assert settings.traces_url == url


@pytest.mark.parametrize(
    "endpoint", ["collector:4318", "grpc://collector", "https://", f"{ENDPOINT}/?key=1", "ftp://x"]
)
def test_an_address_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        read(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)


def test_headers_are_read_and_their_values_decoded() -> None:
    settings = read(
        OTEL_EXPORTER_OTLP_ENDPOINT=ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS="x-key=a%20b%2Cc, Authorization=Basic%20eA==,"
    )
    assert settings is not None
    assert settings.headers == (("x-key", "a b,c"), ("Authorization", "Basic eA=="))


@pytest.mark.parametrize("headers", ["hidden", "hidden=a b", "=hidden", "x=hidden%0d%0ay", "x y=hidden", "x=hidden\ny"])
def test_headers_that_cannot_be_sent_are_refused_and_not_repeated(headers: str) -> None:
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_HEADERS") as refused:
        read(OTEL_EXPORTER_OTLP_ENDPOINT=ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS=headers)
    assert "hidden" not in str(refused.value)


def test_headers_alone_are_refused() -> None:
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_HEADERS is set but OTEL_EXPORTER_OTLP_ENDPOINT is not"):
        read(OTEL_EXPORTER_OTLP_HEADERS="x=1")


@pytest.mark.parametrize(
    ("variables", "resource"),
    [
        ({}, {"service.name": "ai-gateway"}),
        ({"OTEL_SERVICE_NAME": "mine"}, {"service.name": "mine"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs,a=%C3%A9"}, {"service.name": "theirs", "a": "é"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=x", "OTEL_SERVICE_NAME": "mine"}, {"service.name": "mine"}),
    ],
)
def test_the_collector_is_told_who_sends(variables: dict[str, str], resource: dict[str, str]) -> None:
    settings = read(OTEL_EXPORTER_OTLP_ENDPOINT=ENDPOINT, **variables)
    assert settings is not None
    assert dict(settings.resource) == resource
