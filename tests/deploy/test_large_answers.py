"""Answers that are larger than a platform takes at once, which must leave in pieces."""

import base64
from decimal import Decimal

from shared.core.money import NANOS_PER_DOLLAR
from tests.deploy.output_questions import EMBEDDINGS, IMAGES
from tests.deploy.person import Person
from tests.deploy.same_answers import Target
from tests.harness.tenants import Models, Tenants, TestVariant

# In base64 more than Vercel's 4.5 MB and Lambda's 6 MB of an answer that is not streamed.
# source: https://vercel.com/docs/functions/limitations#request-body-size
# source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
IMAGE_BYTES = 6_000_000
PRICE = TestVariant("1024x1024", "standard", Decimal("0.04"))
MANY = 1_000
DIMENSIONS = 1_536


async def test_a_large_image_comes_whole_and_is_charged_once(
    whole: Target, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    model = make_model.image_model(f"image_bytes={IMAGE_BYTES}", providers=("portkey",), variants=(PRICE,))
    answer = await Person(whole, customer.api_key).call("POST", IMAGES, {"model": model.id, "prompt": "a quetzal"})
    assert answer.status == 200, answer.raw[:500]
    (image,) = answer.json["data"]
    assert len(base64.b64decode(image["b64_json"], validate=True)) >= IMAGE_BYTES - 3
    (line,) = customer.books.usage_lines()
    assert line.charged_nanos == PRICE.usd * NANOS_PER_DOLLAR
    assert customer.books.broken_rules() == []


async def test_many_vectors_come_whole_and_in_their_order(
    anywhere: Target, tenant: Tenants, make_model: Models
) -> None:
    test_key = tenant(environment="test").api_key
    texts, model = [f"text {each}" for each in range(MANY)], make_model.embedding_model(context_length=100_000)
    body = {"model": model.id, "input": texts, "dimensions": DIMENSIONS}
    answer = await Person(anywhere, test_key).call("POST", EMBEDDINGS, body)
    assert answer.status == 200, answer.raw[:500]
    vectors = answer.json["data"]
    assert [each["index"] for each in vectors] == list(range(MANY))
    assert {len(each["embedding"]) for each in vectors} == {DIMENSIONS}
    assert len(answer.raw) > IMAGE_BYTES
