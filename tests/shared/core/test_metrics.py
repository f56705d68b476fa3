import json

import pytest

from shared.core.metrics import DIMENSION, NAMESPACE, OF_A_CALL, OF_A_REQUEST, Metrics

HERE = Metrics("ai-gateway-prod-chat")
AT_MS = 1_763_900_000_000


def read(line: object) -> dict[str, float]:
    """Take the metrics out of a line as CloudWatch does, and check that it can.

    source  https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    document = json.loads(json.dumps(line))
    assert set(document["_aws"]) == {"Timestamp", "CloudWatchMetrics"}
    assert document["_aws"]["Timestamp"] == AT_MS
    values: dict[str, float] = {}
    for directive in document["_aws"]["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert directive["Namespace"] == NAMESPACE
        for dimensions in directive["Dimensions"]:
            assert all(isinstance(document[name], str) and document[name] for name in dimensions)
        assert len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert set(metric) == {"Name", "Unit"}
            assert isinstance(document[metric["Name"]], int | float)
            assert not isinstance(document[metric["Name"]], bool)
            values[metric["Name"]] = document[metric["Name"]]
    return values


def test_a_function_on_lambda_has_metrics_and_no_other() -> None:
    assert Metrics.read({"AWS_LAMBDA_FUNCTION_NAME": "ai-gateway-prod-chat"}) == HERE
    assert Metrics.read({}) == Metrics.read({"AWS_LAMBDA_FUNCTION_NAME": " "}) == Metrics()


@pytest.mark.parametrize("is_error", [False, True])
def test_a_request_counts_with_its_duration_and_whether_it_failed(is_error: bool) -> None:
    line = HERE.of_request({"status": 200, "duration_ms": 12}, is_error=is_error, at_ms=AT_MS)
    assert read(line) == {"requests": 1, "errors": int(is_error), "duration_ms": 12}
    assert set(OF_A_REQUEST) == set(read(line))
    assert (line[DIMENSION], line["function_name"]) == ("ai-gateway-prod", "ai-gateway-prod-chat")
    assert line["status"] == 200


def test_a_call_counts_with_its_money() -> None:
    fields: dict[str, str | int] = {
        "first_byte_ms": 5,
        "cost_nanos": 7,
        "provider_cost_nanos": 6,
        "shortfall_nanos": 0,
        "provider": "chutes",
    }
    line = HERE.of_call(fields, is_failed=False, at_ms=AT_MS)
    expected = {name: value for name, value in fields.items() if name != "provider"}
    assert read(line) == {"calls": 1, "calls_failed": 0, **expected}
    assert set(OF_A_CALL) == set(read(line))


def test_all_metrics_together_are_within_the_ten_that_cost_nothing() -> None:
    assert len(set(OF_A_REQUEST) | set(OF_A_CALL)) <= 10


def test_a_function_with_another_name_has_it_in_whole() -> None:
    assert Metrics("chat").of_request({}, is_error=False, at_ms=AT_MS)[DIMENSION] == "chat"


def test_what_is_not_known_is_no_metric() -> None:
    line = HERE.of_call({"first_byte_ms": None, "provider": None}, is_failed=True, at_ms=AT_MS)
    assert read(line) == {"calls": 1, "calls_failed": 1}


def test_a_late_settlement_brings_its_money_and_no_call() -> None:
    money = {"cost_nanos": 7, "provider_cost_nanos": 6, "shortfall_nanos": 1}
    assert read(HERE.of_late_settlement(money, at_ms=AT_MS)) == money


def test_elsewhere_the_lines_stay_as_they_are() -> None:
    fields = {"status": 500, "duration_ms": 1}
    assert Metrics().of_request(fields, is_error=True, at_ms=AT_MS) == fields
    assert Metrics().of_call(fields, is_failed=True, at_ms=AT_MS) == fields
    assert Metrics().of_late_settlement(fields, at_ms=AT_MS) == fields
