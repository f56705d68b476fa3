"""Tax as `automatic_tax` adds it: one rate for everybody, on top of prices unless they include it."""

from infra.local.stripe_double.refusals import Json
from infra.local.stripe_double.world import World

PER = 10_000


def tax_of(world: World, price: Json, amount: int, *, is_taxed: bool) -> int:
    """Return the tax on an amount, signed like it; of a price that includes tax, its part."""
    rate = world.settings.tax_basis_points if is_taxed else 0
    whole = PER + rate if price["tax_behavior"] == "inclusive" else PER
    tax = (2 * abs(amount) * rate + whole) // (2 * whole)
    return tax if amount >= 0 else -tax


def added_tax(price: Json, tax: int) -> int:
    """Return what the tax adds to the amount."""
    return 0 if price["tax_behavior"] == "inclusive" else tax


def tax_json(price: Json, tax: int, amount: int) -> list[Json]:
    """Return the tax as lines and invoices list it; none is an empty list."""
    if tax == 0:
        return []
    behavior = "inclusive" if price["tax_behavior"] == "inclusive" else "exclusive"
    return [
        {
            "amount": tax,
            "tax_behavior": behavior,
            "tax_rate_details": {"tax_rate": "txr_double"},
            "taxability_reason": "standard_rated",
            "taxable_amount": amount - (tax if behavior == "inclusive" else 0),
            "type": "tax_rate_details",
        }
    ]
