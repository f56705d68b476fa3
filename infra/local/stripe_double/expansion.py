"""Expands: puts the objects where their ids were, along the paths that `expand[]` names."""

import copy
from collections.abc import Callable

from infra.local.stripe_double.checkout import session_line_list
from infra.local.stripe_double.refusals import InvalidRequest, Json
from infra.local.stripe_double.shapes import list_of
from infra.local.stripe_double.world import World

MAX_DEPTH = 4


def expand(world: World, answer: Json, paths: list[str]) -> Json:
    """Return a copy of the answer with every path expanded.

    raises  InvalidRequest for what cannot be
    """
    answer = copy.deepcopy(answer)
    for path in paths:
        parts = path.split(".")
        if len(parts) > MAX_DEPTH:
            message = f"You cannot expand more than {MAX_DEPTH} levels of a property. Property: {path}"
            raise InvalidRequest(message, param="expand")
        if parts[0] == "data" and answer["object"] != "list":
            raise _refusal(path)
        _expand_in(world, answer, parts, path)
    return answer


def _expand_in(world: World, inside: Json, parts: list[str], path: str) -> None:
    name, *rest = parts
    if name not in inside and (inside.get("object"), name) in INCLUDED:
        inside[name] = copy.deepcopy(INCLUDED[inside["object"], name](world, inside))
    if name not in inside:
        raise _refusal(path)
    inside[name] = _resolve(world, inside[name], path, is_last=not rest)
    targets = inside[name] if isinstance(inside[name], list) else [inside[name]]
    for target in targets if rest else []:
        if isinstance(target, dict):
            _expand_in(world, target, rest, path)


def _resolve(world: World, value: object, path: str, *, is_last: bool) -> object:
    """Return the object for an id; what is null, or an object already, stays."""
    if isinstance(value, str):
        found = world.find(value)
        if found is None:
            raise _refusal(path)
        return copy.deepcopy(found)
    if is_last and not (value is None or isinstance(value, dict | list)):
        raise _refusal(path)
    if isinstance(value, list):
        return [_resolve(world, item, path, is_last=False) for item in value]
    return value


def _refusal(path: str) -> InvalidRequest:
    return InvalidRequest(
        f"This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' instead."
        if not path.startswith("data")
        else f"This property cannot be expanded ({path}).",
        param="expand",
    )


def _refunds(world: World, charge: Json) -> Json:
    rows = [row for row in world.rows("refund") if row["charge"] == charge["id"]]
    return list_of(rows, f"/v1/charges/{charge['id']}/refunds")


def _payments(world: World, invoice: Json) -> Json:
    rows = [row for row in world.rows("invoice_payment") if row["invoice"] == invoice["id"]]
    return list_of(rows, f"/v1/invoices/{invoice['id']}/payments")


def _subscriptions(world: World, customer: Json) -> Json:
    rows = [row for row in world.rows("subscription") if row["customer"] == customer["id"] and not row["ended_at"]]
    return list_of(rows, f"/v1/customers/{customer['id']}/subscriptions")


# Lists that are left out of an object unless they are asked for.
INCLUDED: dict[tuple[str, str], Callable[[World, Json], Json]] = {
    ("charge", "refunds"): _refunds,
    ("invoice", "payments"): _payments,
    ("customer", "subscriptions"): _subscriptions,
    ("checkout.session", "line_items"): session_line_list,
}
