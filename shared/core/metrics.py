"""Metrics on AWS: fields of a log line that CloudWatch reads by itself, in its embedded metric format.

source  https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from shared.core.log import Field
from shared.core.variables import Environment

Unit = Literal["Count", "Milliseconds", "None"]

NAMESPACE = "AIGateway"
# The one dimension: CloudWatch bills every metric for each of its values, and gives ten away. What else a line says,
# which function wrote it among it, is for queries of the log; Lambda itself measures each function.
DIMENSION = "gateway"
OF_A_REQUEST: Mapping[str, Unit] = MappingProxyType(
    {"requests": "Count", "errors": "Count", "duration_ms": "Milliseconds"}
)
OF_A_CALL: Mapping[str, Unit] = MappingProxyType(
    {
        "calls": "Count",
        "calls_failed": "Count",
        "first_byte_ms": "Milliseconds",
        "cost_nanos": "None",
        "provider_cost_nanos": "None",
        "shortfall_nanos": "None",
    }
)


class Metrics(msgspec.Struct, frozen=True):
    """Whether log lines carry metrics, and of which function; None where nobody reads them.

    shape   function_name: as serverless.yml has Lambda call it, <service>-<stage>-<function>
    """

    function_name: str | None = None

    @classmethod
    def read(cls, environment: Environment) -> "Metrics":
        """Read what Lambda calls the function; elsewhere nobody reads metrics out of lines.

        source  https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        return cls(environment.get("AWS_LAMBDA_FUNCTION_NAME", "").strip() or None)

    def of_request(self, fields: Mapping[str, Field], *, is_error: bool, at_ms: int) -> Mapping[str, Field]:
        """Return the line of an answered request, with its metrics where they are read."""
        return self._measured({**fields, "requests": 1, "errors": int(is_error)}, OF_A_REQUEST, at_ms) or fields

    def of_call(self, fields: Mapping[str, Field], *, is_failed: bool, at_ms: int) -> Mapping[str, Field]:
        """Return the line of a call for inference that has ended, with its metrics where they are read."""
        return self._measured({**fields, "calls": 1, "calls_failed": int(is_failed)}, OF_A_CALL, at_ms) or fields

    def of_late_settlement(self, fields: Mapping[str, Field], *, at_ms: int) -> Mapping[str, Field]:
        """Return the line of a call that was settled after its end; it was counted then, and its money is now."""
        return self._measured(fields, OF_A_CALL, at_ms) or fields

    def _measured(self, fields: Mapping[str, Field], units: Mapping[str, Unit], at_ms: int) -> Mapping[str, Field]:
        if self.function_name is None:
            return {}
        # A line must hold whatever it declares.
        present = [{"Name": name, "Unit": unit} for name, unit in units.items() if fields.get(name) is not None]
        directive = {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": present}
        return {
            **fields,
            DIMENSION: self.function_name.rpartition("-")[0] or self.function_name,
            "function_name": self.function_name,
            "_aws": {"Timestamp": at_ms, "CloudWatchMetrics": [directive]},
        }
