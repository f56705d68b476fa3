"""How the tests call the official clients."""

from collections.abc import Callable
from pathlib import Path

import openai

FOLDER = Path(__file__).parent
# A tenant or a key, and the client's own options.
MakeClient = Callable[..., openai.OpenAI]
