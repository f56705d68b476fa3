"""Call the gateway as customers' programs do, with the packages unchanged, and tell what came of it.

In, a line of JSON each: {id, client, scenario, url, apiKey, model, …}. Out: {id, answer} or {id, error}; what is the
script's own slip, and no error of the client's, comes as {id, trace}. The scenario `version` is of each client.
"""

import importlib
import json
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

MODULES = {
    "openai-python": "openai_python",
    "openai-python-older": "openai_python",
    "langchain": "langchain",
    "anthropic-python": "anthropic_python",
}


def main() -> None:
    """Answer each line when its scenario has ended."""
    with ThreadPoolExecutor() as scenarios:
        for line in sys.stdin:
            scenarios.submit(_tell, json.loads(line))


def _tell(asked: dict[str, Any]) -> None:
    told = json.dumps({"id": asked["id"], **_run(asked)})
    sys.stdout.write(f"{told}\n")
    sys.stdout.flush()


def _run(asked: dict[str, Any]) -> dict[str, Any]:
    client: Any = None
    try:
        client = importlib.import_module(f"tests.contract.python.{MODULES[asked['client']]}")
        if asked["scenario"] == "version":
            return {"answer": version(asked["package"])}
        return {"answer": client.SCENARIOS[asked["scenario"]](asked)}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        described = client and client.describe(error)
        return {"error": described} if described else {"trace": traceback.format_exc()}


if __name__ == "__main__":
    main()
