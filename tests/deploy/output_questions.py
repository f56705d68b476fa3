"""Of the shared set of requests those for what is no text: embeddings and images."""

import functools
from collections.abc import Iterator, Mapping

from tests.deploy.cast import TOO_LARGE, Cast
from tests.deploy.same_answers import COMPLETION, JSON, Question
from tests.functions.chat.client import HELLO, PATH

Headers = Mapping[str, str]

EMBEDDINGS, IMAGES, OTHER_IMAGES = "/v1/embeddings", "/v1/images/generations", "/images/generate"
PATHS = (EMBEDDINGS, IMAGES, OTHER_IMAGES)
TEXTS = ["Grüß Gott", "世界 👋"]
# What comes of some of the questions.
OUTPUT_STATUSES = {
    "an embedding": 200,
    "embeddings as base64": 200,
    "embeddings for a test key": 200,
    "embeddings of a model that writes": 400,
    "a completion of a model that embeds": 400,
    "an image": 200,
    "an image at the other path": 200,
    "images for a test key": 200,
    "an image of a model that writes": 400,
    "an image in a size that is not offered": 400,
    **{f"{path} without a key": 401 for path in PATHS},
    **{f"{path} without credit": 402 for path in PATHS},
}


def output_questions(cast: Cast) -> Iterator[Question]:
    """Return the questions."""
    yield from _embedding_questions(cast)
    yield from _image_questions(cast)
    for path in PATHS:
        yield from _refused_questions(cast, path)


def _embedding_questions(cast: Cast) -> Iterator[Question]:
    sent, body = {**JSON, **cast.rich, "Origin": "https://app.example"}, _asked(cast, EMBEDDINGS)
    embed = functools.partial(Question, method="POST", path=EMBEDDINGS, headers=sent, varying=COMPLETION)
    yield embed("an embedding", body=body)
    yield embed("embeddings as base64", body={**body, "input": TEXTS, "encoding_format": "base64"})
    yield embed("embeddings of tokens", body={**body, "input": [[1, 2, 3], [4]]})
    yield embed("embeddings for a test key", headers={**JSON, **cast.test}, body={**body, "dimensions": 8})
    yield embed("embeddings of nothing", body={**body, "input": []})
    yield embed("embeddings as a stream", body={**body, "stream": True})
    yield embed("embeddings of a model that writes", body={**body, "model": cast.model})
    yield embed("a completion of a model that embeds", path=PATH, body={"model": cast.embedding, "messages": HELLO})


def _image_questions(cast: Cast) -> Iterator[Question]:
    sent, body = {**JSON, **cast.rich, "Origin": "https://app.example"}, _asked(cast, IMAGES)
    draw = functools.partial(Question, method="POST", path=IMAGES, headers=sent, varying=COMPLETION)
    yield draw("an image", body=body)
    yield draw("an image at the other path", path=OTHER_IMAGES, body={**body, "n": 2})
    yield draw("images for a test key", headers={**JSON, **cast.test}, body={**body, "n": 2})
    yield draw("an image of nothing", body={**body, "prompt": ""})
    yield draw("images as a stream", body={**body, "stream": True})
    yield draw("an image with a field without a price", body={**body, "web_search_options": {}})
    yield draw("an image in a size that is not offered", body={**body, "size": "7x7"})
    yield draw("an image of a model that writes", body={**body, "model": cast.model})


def _refused_questions(cast: Cast, path: str) -> Iterator[Question]:
    sent, body = {**JSON, **cast.rich}, _asked(cast, path)
    yield Question(f"{path} without a key", "POST", path, JSON, body)
    yield Question(f"{path} without credit", "POST", path, {**JSON, **cast.poor}, body)
    yield Question(f"{path} with no JSON", "POST", path, sent, b"{not json")
    yield Question(f"{path} with too much", "POST", path, sent, b" " * TOO_LARGE)
    yield Question(f"{path} of an unknown model", "POST", path, sent, {**body, "model": "none/such"})
    yield Question(f"{path} in a chat", "POST", f"{path}?session_id={cast.session}", sent, body)
    yield Question(f"{path} by GET", "GET", path, cast.rich)
    yield Question(f"more than {path}", "POST", f"{path}/more", sent, body)
    asked = {"Origin": "https://app.example", "Access-Control-Request-Headers": "authorization, content-type"}
    yield Question(f"preflight of {path}", "OPTIONS", path, {**asked, "Access-Control-Request-Method": "POST"})


def _asked(cast: Cast, path: str) -> dict[str, object]:
    if path == EMBEDDINGS:
        return {"model": cast.embedding, "input": TEXTS[0]}
    return {"model": cast.drawing, "prompt": TEXTS[1]}
