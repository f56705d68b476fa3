import pytest

from infra.local.privy_tokens import SigningKey
from shared.core.integrations import ArchiveSettings, PrivySettings, ProviderCredentials
from shared.core.platform import PLATFORM_SIGNS, PLATFORMS, AddressSource, ParameterStoreSettings, Platform
from shared.core.settings import (
    DEFAULT_SILENCE_LIMIT_S,
    DEFAULT_TIME_LIMIT_S,
    AdminSettings,
    AuthSettings,
    CatalogSettings,
    ChatSettings,
    ScheduledSettings,
)
from shared.core.variables import SettingsError

STORES = {
    "SUPABASE_URL": "https://project.supabase.test/",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_1",
    "UPSTASH_REDIS_REST_URL": "https://redis.upstash.test/",
    "UPSTASH_REDIS_REST_TOKEN": "token",
}
SECRET = "s" * 32
CHAT = {**STORES, "SECRET_KEY": SECRET}
PUBLIC = {"GATEWAY_URL": "https://gateway.test"}


def _chat(**changes: str) -> ChatSettings:
    return ChatSettings.read({**CHAT, **changes})


def test_the_least_that_chat_needs() -> None:
    settings = _chat()
    assert settings.stores.supabase_url == "https://project.supabase.test"
    assert settings.stores.redis_url == "https://redis.upstash.test"
    assert settings.secret_keys == (SECRET,)
    assert settings.providers == {}
    assert settings.address_source == AddressSource("direct")
    assert (settings.time_limit_s, settings.silence_limit_s) == (DEFAULT_TIME_LIMIT_S, DEFAULT_SILENCE_LIMIT_S)


@pytest.mark.parametrize("name", CHAT)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_variable_is_named(name: str, value: str | None) -> None:
    environment = {**CHAT, name: value} if value is not None else {key: CHAT[key] for key in CHAT if key != name}
    with pytest.raises(SettingsError, match=rf"^{name} is not set$"):
        ChatSettings.read({key: text for key, text in environment.items() if text is not None})


@pytest.mark.parametrize("name", STORES)
def test_the_catalog_needs_the_stores_and_nothing_else(name: str) -> None:
    assert CatalogSettings.read(STORES).stores == _chat().stores
    with pytest.raises(SettingsError, match=name):
        CatalogSettings.read({key: STORES[key] for key in STORES if key != name})


def test_secrets_are_a_list_newest_first() -> None:
    assert _chat(SECRET_KEY=f" {'n' * 32} , {'o' * 40} ").secret_keys == ("n" * 32, "o" * 40)


@pytest.mark.parametrize("secrets", ["short", "s" * 31, f"{SECRET},short", f"{SECRET},", f",{SECRET}"])
def test_a_secret_that_is_too_short_is_refused(secrets: str) -> None:
    with pytest.raises(SettingsError, match="at least 32 characters") as refused:
        _chat(SECRET_KEY=secrets)
    assert secrets not in str(refused.value)


def test_a_provider_with_a_key_is_configured() -> None:
    providers = _chat(OPENROUTER_API_KEY="sk-1", CHUTES_API_KEY="sk-2", CHUTES_BASE_URL="https://c.test/v1/").providers
    assert dict(providers) == {
        "openrouter": ProviderCredentials("sk-1", None),
        "chutes": ProviderCredentials("sk-2", "https://c.test/v1"),
    }


@pytest.mark.parametrize("slug", ["OPENROUTER", "PORTKEY", "FEATHERLESS", "CHUTES"])
def test_a_provider_configured_by_half_is_refused(slug: str) -> None:
    with pytest.raises(SettingsError, match=rf"{slug}_BASE_URL is set but {slug}_API_KEY is not"):
        _chat(**{f"{slug}_BASE_URL": "https://p.test", f"{slug}_API_KEY": " "})


@pytest.mark.parametrize("name", ["FUNCTION_TIME_LIMIT_S", "CONNECTION_SILENCE_LIMIT_S", "PROVIDER_SILENCE_LIMIT_S"])
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "5s", "²", "٣", "1e3", "0x10", "1_0"])
def test_a_number_that_is_none_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be a whole number above 0"):
        _chat(**{name: text})


def test_numbers_are_read() -> None:
    settings = _chat(FUNCTION_TIME_LIMIT_S=" 800 ", PROVIDER_SILENCE_LIMIT_S="7")
    assert (settings.time_limit_s, settings.silence_limit_s) == (800, 7)


def test_a_platform_bears_silence_for_as_long_as_a_request_may_take_unless_told() -> None:
    assert _chat(FUNCTION_TIME_LIMIT_S="800").connection_silence_limit_s == 800
    assert _chat(FUNCTION_TIME_LIMIT_S="800", CONNECTION_SILENCE_LIMIT_S="30").connection_silence_limit_s == 30


@pytest.mark.parametrize("source", PLATFORMS)
def test_the_client_address_comes_from_where_the_deployment_says(source: Platform) -> None:
    assert _chat(CLIENT_ADDRESS_SOURCE=source).address_source == AddressSource(source)


def test_behind_proxies_their_number_can_be_said_and_nowhere_else() -> None:
    settings = _chat(CLIENT_ADDRESS_SOURCE="proxy", TRUSTED_PROXY_COUNT="2")
    assert settings.address_source == AddressSource("proxy", 2)
    with pytest.raises(SettingsError, match="TRUSTED_PROXY_COUNT is set but CLIENT_ADDRESS_SOURCE is not proxy"):
        _chat(CLIENT_ADDRESS_SOURCE="direct", TRUSTED_PROXY_COUNT="1")
    with pytest.raises(SettingsError, match="TRUSTED_PROXY_COUNT must be a whole number above 0"):
        _chat(CLIENT_ADDRESS_SOURCE="proxy", TRUSTED_PROXY_COUNT="0")


@pytest.mark.parametrize("source", ["x-forwarded-for", "Vercel", ""])
def test_an_unknown_source_of_addresses_is_refused(source: str) -> None:
    with pytest.raises(SettingsError, match="CLIENT_ADDRESS_SOURCE must be one of vercel, lambda, direct"):
        _chat(CLIENT_ADDRESS_SOURCE=source)


@pytest.mark.parametrize(("sign", "platform"), PLATFORM_SIGNS.items())
def test_a_platform_that_vouches_itself_is_the_only_source_there(sign: str, platform: Platform) -> None:
    assert _chat(**{sign: "1", "CLIENT_ADDRESS_SOURCE": platform}).address_source == AddressSource(platform)
    for other in {*PLATFORMS} - {platform}:
        with pytest.raises(SettingsError, match=f"CLIENT_ADDRESS_SOURCE must be {platform} here"):
            _chat(**{sign: "1", "CLIENT_ADDRESS_SOURCE": other})
    with pytest.raises(SettingsError, match=f"CLIENT_ADDRESS_SOURCE must be {platform} here"):
        _chat(**{sign: "1"})


def test_jobs_may_be_without_a_cron_secret_but_not_with_a_short_one() -> None:
    given = {**STORES, **PUBLIC, "SECRET_KEY": SECRET}
    assert ScheduledSettings.read(given).cron_secret is None
    assert ScheduledSettings.read({**given, "CRON_SECRET": " "}).cron_secret is None
    assert ScheduledSettings.read({**given, "CRON_SECRET": "c" * 16}).cron_secret == "c" * 16
    with pytest.raises(SettingsError, match="CRON_SECRET needs at least 16 characters"):
        ScheduledSettings.read({**given, "CRON_SECRET": "c" * 15})


def test_an_admin_key_may_be_missing_but_not_short_and_shows_in_no_print() -> None:
    given = {**STORES, "SECRET_KEY": SECRET}
    assert AdminSettings.read(given).admin_api_key is None
    assert AdminSettings.read({**given, "ADMIN_API_KEY": " "}).admin_api_key is None
    settings = AdminSettings.read({**given, "ADMIN_API_KEY": "a" * 32})
    assert settings.admin_api_key == "a" * 32
    assert "aaa" not in repr(settings)
    with pytest.raises(SettingsError, match="ADMIN_API_KEY needs at least 32 characters"):
        AdminSettings.read({**given, "ADMIN_API_KEY": "a" * 31})


def test_an_archive_has_a_bucket_and_both_keys_or_none_and_no_address_in_the_clear() -> None:
    keys = {"ARCHIVE_ACCESS_KEY_ID": "id", "ARCHIVE_SECRET_ACCESS_KEY": "the secret"}
    assert ArchiveSettings.read({}) is None
    alone = ArchiveSettings.read({"ARCHIVE_BUCKET": "b"})
    assert alone is not None
    assert (alone.access_key_id, alone.url) == (None, None)
    whole = ArchiveSettings.read({**keys, "ARCHIVE_BUCKET": "b", "ARCHIVE_URL": "https://s3.example"})
    assert whole is not None
    assert "the secret" not in repr(whole)
    for given, said in (
        (keys, "is set but ARCHIVE_BUCKET is not"),
        ({"ARCHIVE_BUCKET": "b", "ARCHIVE_ACCESS_KEY_ID": "id"}, "are needed together"),
        ({"ARCHIVE_BUCKET": "b", "ARCHIVE_URL": "http://s3.example"}, "ARCHIVE_URL must begin with https://"),
    ):
        with pytest.raises(SettingsError, match=said):
            ArchiveSettings.read(given)


def test_jobs_need_the_secrets_under_which_new_keys_are_stored() -> None:
    given = {**STORES, **PUBLIC, "SECRET_KEY": f"{SECRET}, {'t' * 32}"}
    assert ScheduledSettings.read(given).secret_keys == (SECRET, "t" * 32)
    with pytest.raises(SettingsError, match="SECRET_KEY is not set"):
        ScheduledSettings.read(STORES)


AWS = {
    "PARAMETERS": "SECRET_KEY, CRON_SECRET,",
    "PARAMETERS_PATH": "/ai-gateway/prod/",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
    "AWS_SESSION_TOKEN": "aws-token",
}


def test_a_function_without_parameters_asks_for_none() -> None:
    assert ParameterStoreSettings.read({}) is None
    assert ParameterStoreSettings.read({**AWS, "PARAMETERS": " , "}) is None


def test_parameters_are_named_and_found_in_the_function_s_own_region() -> None:
    settings = ParameterStoreSettings.read(AWS)
    assert settings is not None
    assert (settings.path, settings.names) == ("/ai-gateway/prod", ("SECRET_KEY", "CRON_SECRET"))
    assert settings.endpoint == "https://ssm.eu-central-1.amazonaws.com"
    assert [secret for secret in ("aws-secret", "aws-token") if secret in repr(settings)] == []


@pytest.mark.parametrize(
    ("endpoints", "endpoint"),
    [
        ({"AWS_ENDPOINT_URL": "http://aws.test/"}, "http://aws.test"),
        ({"AWS_ENDPOINT_URL": "http://aws.test", "AWS_ENDPOINT_URL_SSM": "http://ssm.test"}, "http://ssm.test"),
    ],
)
def test_parameter_store_may_stand_elsewhere(endpoints: dict[str, str], endpoint: str) -> None:
    settings = ParameterStoreSettings.read({**AWS, **endpoints})
    assert settings is not None
    assert settings.endpoint == endpoint


@pytest.mark.parametrize("name", [name for name in AWS if name not in ("PARAMETERS", "AWS_SESSION_TOKEN")])
def test_what_parameter_store_is_asked_with_is_named_when_it_is_missing(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name} is not set$"):
        ParameterStoreSettings.read({key: AWS[key] for key in AWS if key != name})


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        _chat().time_limit_s = 1  # type: ignore[misc]


def test_a_printed_setting_shows_no_secret() -> None:
    printed = repr(_chat(OPENROUTER_API_KEY="sk-secret"))
    assert [secret for secret in (SECRET, "sb_secret_1", "token", "sk-secret") if f"'{secret}'" in printed] == []


APP = {"PRIVY_APP_ID": "cm0app"}


def _privy(**variables: str) -> PrivySettings | None:
    return PrivySettings.read(variables)


def test_without_an_app_at_privy_nobody_can_sign_in() -> None:
    assert _privy() is None
    assert _privy(PRIVY_APP_ID="  ", PRIVY_JWKS_URL="") is None
    assert _chat().privy is None
    assert AuthSettings.read(CHAT).privy is None


def test_the_app_alone_has_its_keys_read_where_privy_publishes_them() -> None:
    expected = PrivySettings("cm0app", None, "https://auth.privy.io/api/v1/apps/cm0app/jwks.json")
    assert _privy(**APP) == expected
    assert _chat(**APP).privy == expected
    assert AuthSettings.read({**CHAT, **APP}).privy == expected


@pytest.mark.parametrize("line_break", ["\n", "\\n", "\r\n", ""])
def test_the_key_of_the_dashboard_may_be_written_on_one_line(line_break: str) -> None:
    pem = SigningKey.generate().public_pem.strip()
    settings = _privy(**APP, PRIVY_VERIFICATION_KEY=pem.replace("\n", line_break))
    assert settings is not None
    assert settings.verification_key is not None
    assert settings.verification_key.strip() == pem


def test_the_key_of_the_dashboard_may_be_one_word_that_no_shell_takes_for_more() -> None:
    pem = SigningKey.generate().public_pem.strip()
    word = "".join(pem.splitlines()[1:-1])
    settings = _privy(**APP, PRIVY_VERIFICATION_KEY=word)
    assert settings is not None
    assert settings.verification_key is not None
    assert settings.verification_key.strip() == pem
    with pytest.raises(SettingsError, match="copy it again"):
        _privy(**APP, PRIVY_VERIFICATION_KEY=word[:-1])


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"PRIVY_VERIFICATION_KEY": "x"}, "PRIVY_APP_ID is not"),
        ({"PRIVY_JWKS_URL": "https://keys.test/jwks.json"}, "PRIVY_APP_ID is not"),
        ({"PRIVY_APP_ID": "../other"}, "PRIVY_APP_ID"),
        ({**APP, "PRIVY_VERIFICATION_KEY": "x", "PRIVY_JWKS_URL": "https://keys.test/"}, "both set"),
        ({**APP, "PRIVY_VERIFICATION_KEY": "a-shared-secret"}, "PRIVY_VERIFICATION_KEY"),
        ({**APP, "PRIVY_VERIFICATION_KEY": SigningKey.generate().private_pem.decode()}, "PRIVY_VERIFICATION_KEY"),
        ({**APP, "PRIVY_VERIFICATION_KEY": SigningKey.generate().public_pem[:80]}, "PRIVY_VERIFICATION_KEY"),
        (
            {**APP, "PRIVY_VERIFICATION_KEY": "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"},
            "PRIVY_VERIFICATION_KEY",
        ),
        (
            {**APP, "PRIVY_VERIFICATION_KEY": "-----BEGIN PUBLIC KEY-----\n=a=\n-----END PUBLIC KEY-----"},
            "PRIVY_VERIFICATION_KEY",
        ),
        ({**APP, "PRIVY_JWKS_URL": "http://auth.privy.io/jwks.json"}, "https://"),
        ({**APP, "PRIVY_JWKS_URL": "http://127.0.0.1.evil.test/jwks.json"}, "https://"),
        ({**APP, "PRIVY_JWKS_URL": "file:///etc/passwd"}, "https://"),
    ],
)
def test_what_cannot_be_trusted_or_is_half_set_is_refused(variables: dict[str, str], named: str) -> None:
    for read in (PrivySettings.read, lambda part: AuthSettings.read({**CHAT, **part})):
        with pytest.raises(SettingsError, match=named):
            read(variables)


def test_a_refused_key_is_not_repeated() -> None:
    secret = SigningKey.generate().private_pem.decode()
    with pytest.raises(SettingsError) as refused:
        _privy(**APP, PRIVY_VERIFICATION_KEY=secret)
    assert secret[40:60] not in str(refused.value)


@pytest.mark.parametrize("position", range(70, 120, 7))
def test_a_key_with_one_letter_mistyped_stops_the_start(position: int) -> None:
    pem = SigningKey.generate().public_pem
    letter = "A" if pem[position] != "A" else "B"
    with pytest.raises(SettingsError, match="copy it again"):
        _privy(**APP, PRIVY_VERIFICATION_KEY=pem[:position] + letter + pem[position + 1 :])
