"""The metrics of the requests that a function answers, where its platform reads them out of log lines."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from shared.core.log import Field
from shared.core.metrics import Metrics
from shared.core.settings import read_environment
from shared.web.under_way import Lifespan


class RequestMetrics:
    """Adds metrics to the line of an answered request, once the function has started and knows where it runs."""

    def __init__(self) -> None:
        self._metrics = Metrics()

    def of(self, fields: Mapping[str, Field], *, is_error: bool, at_ms: int) -> Mapping[str, Field]:
        """Return the line's fields, with what is measured by them."""
        return self._metrics.of_request(fields, is_error=is_error, at_ms=at_ms)

    def lifespan(self, lifespan: Lifespan) -> Lifespan:
        """Wrap a lifespan so that it looks where the function runs."""

        @asynccontextmanager
        async def knowing(app: FastAPI) -> AsyncIterator[None]:
            self._metrics = Metrics.read(read_environment())
            async with lifespan(app):
                yield

        return knowing
