"""The providers' records."""

import pytest

from shared.core.ids import ProviderSlug
from shared.core.integrations import PROVIDER_SLUGS
from shared.providers.openrouter import OPENROUTER
from shared.providers.portkey import PORTKEY
from shared.providers.registry import PROVIDERS


def test_every_provider_of_the_settings_has_a_record_and_simulated_has_one_too() -> None:
    assert set(PROVIDERS) == {*PROVIDER_SLUGS, "simulated"}
    assert all(provider.slug == slug for slug, provider in PROVIDERS.items())


@pytest.mark.parametrize("slug", PROVIDER_SLUGS)
def test_base_url_is_https_and_has_no_slash_at_its_end(slug: str) -> None:
    base_url = PROVIDERS[ProviderSlug(slug)].base_url
    assert base_url.startswith("https://")
    assert not base_url.endswith("/")


def test_bearer_and_portkey_headers() -> None:
    assert OPENROUTER.authorise("k") == {"Authorization": "Bearer k"}
    assert PORTKEY.authorise("k") == {"x-portkey-api-key": "k"}


def test_registry_and_records_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROVIDERS[ProviderSlug("x")] = OPENROUTER  # type: ignore[index]
    with pytest.raises(AttributeError):
        OPENROUTER.base_url = "http://elsewhere"  # type: ignore[misc]
