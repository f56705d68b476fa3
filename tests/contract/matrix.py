"""Which official client can do what against the gateway: the table in docs/api.md, told from what passed.

A test says what it shows by `@pytest.mark.cell(client, feature)`, or by `@with_clients(feature, …)` for several. A
cell holds when at least one test shows it and all that show it passed; test_table.py, the folder's last, compares.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import pytest

TEST_LOCK = "infra/requirements/test.txt"
OLDER_LOCK = "infra/requirements/older_clients.txt"
NODE_LOCK = "tests/contract/package-lock.json"
MARKER = "cell(client, feature): this test shows that the client can do this; see tests/contract/matrix.py"

type Result = Literal["✓", "✗"]


class Cell(NamedTuple):
    """One client and one feature."""

    client: str
    feature: str


class Client(NamedTuple):
    """An official package, and the lock that says which version of it is tested."""

    title: str
    package: str
    lock: str


# In the order of the table; the keys are what a test names.
CLIENTS = {
    "openai-python": Client("openai for Python", "openai", TEST_LOCK),
    "openai-python-older": Client("openai for Python", "openai", OLDER_LOCK),
    "langchain": Client("LangChain's ChatOpenAI", "langchain-openai", TEST_LOCK),
    "anthropic-python": Client("anthropic for Python", "anthropic", TEST_LOCK),
    "openai-node": Client("openai for Node", "openai", NODE_LOCK),
    "anthropic-node": Client("@anthropic-ai/sdk", "@anthropic-ai/sdk", NODE_LOCK),
    "ai-openai-compatible": Client("AI SDK, OpenAI-compatible", "@ai-sdk/openai-compatible", NODE_LOCK),
    "ai-openai": Client("AI SDK, OpenAI (Responses)", "@ai-sdk/openai", NODE_LOCK),
    "ai-anthropic": Client("AI SDK, Anthropic", "@ai-sdk/anthropic", NODE_LOCK),
}
FEATURES = {
    "text": "text",
    "stream": "stream",
    "tools": "tools and their results",
    "parallel_tools": "parallel tools",
    "structured": "structured output",
    "vision": "images in the prompt",
    "usage": "usage and its cost",
    "errors": "errors, each as the client's own class",
    "retries": "the client's own retries, paid once",
    "keep_alive": "40 s of silence",
    "cancellation": "cancellation",
    "responses": "stored responses, and what follows them",
    "embeddings": "embeddings",
    "images": "images made",
}
_NO_SUCH_API = "Anthropic's API has none, so its clients cannot ask for it."
_CHAT_ALONE = "Made for chat completions: the client has no call for it."
# What a client cannot do by its nature, and why.
NOT_OFFERED: dict[Cell, str] = {
    **{
        Cell(client, feature): _NO_SUCH_API
        for client in ("anthropic-python", "anthropic-node", "ai-anthropic")
        for feature in ("responses", "embeddings", "images")
    },
    Cell("ai-openai-compatible", "responses"): _CHAT_ALONE,
    Cell("langchain", "images"): "LangChain's package has no call for it.",
}
# Vercel's, each time with another provider.
AI_SDK = ("ai-openai-compatible", "ai-openai", "ai-anthropic")
# What a client can, and what to know of it.
_COST_OF_A_STREAM = "Of a stream LangChain keeps the tokens and drops the cost; of a whole answer it keeps both."
_OTHER_TOKENS = "`OpenAIEmbeddings(check_embedding_ctx_length=False)`: else it sends OpenAI's token numbers."
_NAMELESS_RETRIES = "Its retries do not say that they are: send `Idempotency-Key`, and a lost answer is paid once."
REMARKS: dict[Cell, str] = {
    Cell("langchain", "usage"): _COST_OF_A_STREAM,
    Cell("langchain", "embeddings"): _OTHER_TOKENS,
    **{Cell(client, "retries"): _NAMELESS_RETRIES for client in AI_SDK},
}
CELLS = tuple(cell for client in CLIENTS for feature in FEATURES if (cell := Cell(client, feature)) not in NOT_OFFERED)


def with_clients(feature: str, *clients: str) -> pytest.MarkDecorator:
    """Run a test for each of these clients, or for all that can, as its argument `client`; it shows the feature."""
    chosen = clients or clients_of(feature)
    return pytest.mark.parametrize(
        "client", [pytest.param(client, marks=pytest.mark.cell(client, feature)) for client in chosen]
    )


def clients_of(feature: str) -> tuple[str, ...]:
    """Return the clients that can do this by their nature."""
    return tuple(cell.client for cell in CELLS if cell.feature == feature)


@dataclass(slots=True)
class Run:
    """What one run of the tests showed."""

    results: dict[Cell, Result] = field(default_factory=dict)
    # Whether every test of the folder is in it; else the cells that are missing say nothing.
    is_whole: bool = False

    def add(self, item: pytest.Item, *, has_passed: bool) -> None:
        """Count one phase of a test for the cells that it shows; what failed once stays so."""
        for cell in cells_of(item):
            if not has_passed or self.results.get(cell) != "✗":
                self.results[cell] = "✓" if has_passed else "✗"

    def differs_from(self, told: dict[Cell, str]) -> list[str]:
        """Return each cell that the page tells otherwise than the run."""
        asked = CELLS if self.is_whole else tuple(cell for cell in CELLS if cell in self.results)
        shown = {cell: self.results.get(cell, "no test shows it") for cell in asked}
        return [
            f"{cell.client}, {cell.feature}: the page says {told.get(cell)}, the run {result}"
            for cell, result in shown.items()
            if told.get(cell) != result
        ]


def cells_of(item: pytest.Item) -> list[Cell]:
    """Return the cells that a test shows.

    raises  UsageError when it names one that is not in the table
    """
    cells = [Cell(*mark.args) for mark in item.iter_markers("cell")]
    if unknown := [cell for cell in cells if cell not in CELLS]:
        raise pytest.UsageError(f"{item.nodeid}: {unknown} is no cell of tests/contract/matrix.py")
    return cells
