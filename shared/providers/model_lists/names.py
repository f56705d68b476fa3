"""How a provider's name for a model may read as an id of ours, which are OpenRouter's."""

from collections.abc import Mapping
from types import MappingProxyType

# Of the same people, as they call themselves elsewhere and as OpenRouter calls them.
AUTHORS: Mapping[str, str] = MappingProxyType(
    {
        "ai21labs": "ai21",
        "alibaba-nlp": "alibaba",
        "coherelabs": "cohere",
        "cohereforai": "cohere",
        "deepseek-ai": "deepseek",
        "liquidai": "liquid",
        "meituan-longcat": "meituan",
        "minimaxai": "minimax",
        "mistral-ai": "mistralai",
        "open-ai": "openai",
        "primeintellect": "prime-intellect",
        "stepfun-ai": "stepfun",
        "thudm": "z-ai",
        "xai": "x-ai",
        "xiaomimimo": "xiaomi",
        "zai-org": "z-ai",
    }
)


def guess_model_id(name: str) -> str:
    """Return `author/model` in our spelling; whether there is such a model is another question."""
    author, slash, model = name.lower().partition("/")
    return f"{AUTHORS.get(author, author)}{slash}{model}"
