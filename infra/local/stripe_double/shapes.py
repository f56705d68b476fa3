"""Builds Stripe's objects with every field that the stripe package knows, so that none is missing or made up."""

from typing import Any, get_args

from stripe import StripeObject

from infra.local.stripe_double.refusals import Json

# Fields that Stripe leaves out unless something calls for them.
LEFT_OUT = frozenset({"deleted", "refunds", "line_items", "payments", "subscriptions", "sources", "tax_ids",
                      "currency_options", "tiers", "cash_balance", "invoice_credit_balance", "customer_account",
                      "presentment_details", "managed_payments", "invoice_prefix"})  # fmt: skip


def build(shape: type[StripeObject], **given: Any) -> Json:
    """Return the object; fields that may be null and are not given are null.

    raises  TypeError for a field that the shape lacks or one that it needs: a bug here
    """
    optional, required = _names(shape)
    name = getattr(shape, "OBJECT_NAME", None)
    fields = given if name is None else {"object": name, **given}
    if unknown := fields.keys() - optional - required:
        raise TypeError(f"{shape.__qualname__} has no {sorted(unknown)}")
    if missing := required - fields.keys():
        raise TypeError(f"{shape.__qualname__} needs {sorted(missing)}")
    return {**dict.fromkeys(sorted(optional - LEFT_OUT)), **fields}


def list_of(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    """Return a list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _names(shape: type[StripeObject]) -> tuple[frozenset[str], frozenset[str]]:
    kinds = {name: kind for name, kind in shape.__annotations__.items() if name != "OBJECT_NAME"}
    optional = frozenset(name for name, kind in kinds.items() if type(None) in get_args(kind))
    return optional, frozenset(kinds) - optional
