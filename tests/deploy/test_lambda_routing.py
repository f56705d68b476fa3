"""Which route of a REST API takes a request, as measured against AWS."""

import pytest

from tests.deploy.aws.deployed import Route
from tests.deploy.aws.routing import find_route

ROUTES = [
    Route(resource, method, "function", is_streamed=False, limit_s=29)
    for method, resource in (
        ("ANY", "/"),
        ("ANY", "/{proxy+}"),
        ("PATCH", "/users/me"),
        ("GET", "/users/{user_id}"),
        ("GET", "/users/{user_id}/keys"),
        ("ANY", "/things/{proxy+}"),
        ("GET", "/things/real"),
        ("ANY", "/users/{user_id}/keys"),
    )
]


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/", "ANY /"),
        ("GET", "//", "ANY /"),
        ("GET", "/users", "ANY /{proxy+}"),
        ("PATCH", "/users/me", "PATCH /users/me"),
        ("PATCH", "/users/me/", "PATCH /users/me"),
        ("GET", "/users/me", "GET /users/{user_id}"),
        ("POST", "/users/me", "ANY /{proxy+}"),
        ("GET", "/users/1/keys", "GET /users/{user_id}/keys"),
        ("POST", "/users/1/keys", "ANY /users/{user_id}/keys"),
        ("GET", "/users/1/other", "ANY /{proxy+}"),
        ("GET", "/things/real", "GET /things/real"),
        ("POST", "/things/real", "ANY /things/{proxy+}"),
        ("GET", "/things/other/deep", "ANY /things/{proxy+}"),
        ("GET", "/things", "ANY /{proxy+}"),
    ],
)
def test_the_most_specific_resource_that_has_the_method_answers(method: str, path: str, route: str) -> None:
    found = find_route(ROUTES, method, path)
    assert found is not None
    assert f"{found[0].method} {found[0].resource}" == route


def test_what_the_braces_stand_for_is_handed_over() -> None:
    assert find_route(ROUTES, "GET", "/users/a%2Fb/keys")[1] == {"user_id": "a%2Fb"}  # type: ignore[index]
    assert find_route(ROUTES, "GET", "/v1/models/x/")[1] == {"proxy": "v1/models/x"}  # type: ignore[index]


def test_nothing_answers_where_no_method_fits() -> None:
    assert find_route(ROUTES[2:4], "DELETE", "/users/me") is None
    assert find_route(ROUTES[1:2], "GET", "/") is None
