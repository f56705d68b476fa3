"""Models that make images, their prices, and what is asked of them."""

from typing import Any

from tests.sql.books import PROVIDER, Books
from tests.sql.customers import Customer, make_model

MADE: dict[str, Any] = {"max_output_tokens": 0, "output_modalities": ["image"]}
# Nano-dollars an image, by size and quality; the first is the default.
PRICES = {("1024x1024", "medium"): 42, ("1024x1024", "high"): 167, ("1536x1024", "medium"): 63}


def publish(books: Books, model_id: str, size: str, quality: str, cost: int, **other: Any) -> Any:
    """Put images on offer in one size and quality."""
    arguments = {"provider": PROVIDER, "upstream_model": "up", "cost_nanos_per_image": cost, **other}
    return books.call("publish_image_price", model_id=model_id, size=size, quality=quality, **arguments)


def image_model(books: Books, model_id: str, *, provider: str = PROVIDER, times: int = 1) -> str:
    """Make a model whose images cost PRICES, `times` as much."""
    if not books.rows("select id from gateway.models where id = %s", model_id):
        make_model(books, model_id, {}, **MADE)
    for (size, quality), cost in PRICES.items():
        publish(books, model_id, size, quality, cost * times, provider=provider)
    return model_id


def ask(customer: Customer, *models: str, **request: Any) -> Any:
    """Ask for images."""
    return customer.admit(models=list(models), output="image", **request)


def refusal(customer: Customer, *models: str, **request: Any) -> tuple[int, str, Any]:
    """Ask for images and be refused, which counts and holds nothing."""
    before = customer.counted(), customer.balance()
    answer = ask(customer, *models, **request)
    assert answer["verdict"] == "refused", answer
    assert (customer.counted(), customer.balance()) == before
    return answer["status"], answer["code"], answer["numbers"]
