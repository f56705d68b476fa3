import pytest

from infra.server.route_patterns import compile_route


@pytest.mark.parametrize(
    ("source", "path", "is_match"),
    [
        ("/v1/chat/(.*)", "/v1/chat/completions", True),
        ("/v1/chat/(.*)", "/v1/chat/", True),
        ("/v1/chat/(.*)", "/v1/chat", False),
        ("/v1/models(.*)", "/v1/models", True),
        ("/v1/models(.*)", "/v1/models/openai/gpt-5-mini", True),
        ("/v1/key", "/v1/keys", False),
        ("/v1/key", "/V1/key", False),
        ("/models/:id", "/models/one", True),
        ("/models/:id", "/models/one/two", False),
        ("/models/:id*", "/models", True),
        ("/models/:id*", "/models/one/two", True),
        ("/models/:id+", "/models", False),
        ("/models/:id?", "/models", True),
        ("/user/:id(\\d+)", "/user/12", True),
        ("/user/:id(\\d+)", "/user/me", False),
        ("/(health|ping)", "/ping", True),
        ("/(health|ping)", "/pong", False),
        ("/openapi.json", "/openapiXjson", False),
    ],
)
def test_a_route_pattern_matches_as_on_the_platform(source: str, path: str, is_match: bool) -> None:
    assert bool(compile_route(source).fullmatch(path)) is is_match


@pytest.mark.parametrize("source", ["/a{/b}?", "/a(", "/a*"])
def test_a_pattern_that_cannot_be_followed_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="route pattern"):
        compile_route(source)
