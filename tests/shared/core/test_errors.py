from shared.core.errors import GatewayError, InvalidRequest, StoreUnavailable, envelope


class _SomethingWrong(GatewayError):
    status = 418
    code = "something_wrong"
    type = "permission_error"


def test_an_error_is_written_as_openai_writes_one() -> None:
    refusal = InvalidRequest("n must be a whole number.", param="n")
    assert envelope(refusal, "req_1") == {
        "error": {
            "message": "n must be a whole number.",
            "type": "invalid_request_error",
            "code": "invalid_request",
            "param": "n",
            "request_id": "req_1",
            "retryable": False,
        }
    }


def test_status_code_and_type_are_the_classs() -> None:
    refusal = _SomethingWrong("No.")
    error = envelope(refusal, None)["error"]
    assert (refusal.status, error["code"], error["type"]) == (418, "something_wrong", "permission_error")
    assert error["request_id"] is None
    assert str(refusal) == "No."


def test_a_store_that_is_down_is_never_the_customers_fault() -> None:
    refusal = StoreUnavailable("database")
    assert (refusal.status, refusal.is_retryable) == (503, True)
    assert refusal.headers == {"Retry-After": "2"}
    assert "database" in refusal.message


def test_headers_of_one_refusal_are_not_another_s() -> None:
    shared = {"Retry-After": "1"}
    first, second = InvalidRequest("a", headers=shared), InvalidRequest("b", headers=shared)
    first.headers["Retry-After"] = "9"
    assert (second.headers, shared) == ({"Retry-After": "1"}, {"Retry-After": "1"})
