"""The customer portal: its configurations, its sessions, and what a customer may do there."""

from typing import Any

import stripe

from infra.local.stripe_double.customers import find_customer, merge_metadata
from infra.local.stripe_double.refusals import InvalidRequest, Json
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.subscription_changes import update_subscription
from infra.local.stripe_double.subscriptions import cancel_subscription, period_end
from infra.local.stripe_double.world import World

FEATURES: Json = {
    "customer_update": {"allowed_updates": ["email"], "enabled": True},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True, "payment_method_configuration": None},
    "subscription_cancel": {"cancellation_reason": {"enabled": False, "options": ["other"]}, "enabled": True,
                            "mode": "at_period_end", "proration_behavior": "none"},
    "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
    "subscription_update": {"billing_cycle_anchor": None, "default_allowed_updates": ["price"], "enabled": True,
                            "products": None, "proration_behavior": "always_invoice",
                            "schedule_at_period_end": {"conditions": []}, "trial_update_behavior": "end_trial"},
}  # fmt: skip


def create_configuration(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/billing_portal/configurations."""
    now = world.now()
    profile = build(stripe.billing_portal.Configuration.BusinessProfile, **_unset(params.get("business_profile")))
    configuration = build(
        stripe.billing_portal.Configuration,
        id=world.new_id("bpc"),
        active=True,
        business_profile=profile,
        created=now,
        default_return_url=params.get("default_return_url") or None,
        features=_merge_features(FEATURES, params.get("features", {})),
        is_default=params.get("is_default", False),
        livemode=False,
        login_page={"enabled": False, "url": None},
        metadata=merge_metadata({}, params.get("metadata")),
        name=params.get("name") or None,
        updated=now,
    )
    return world.add(configuration)


def update_configuration(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/billing_portal/configurations/{id}."""
    configuration = get_configuration(world, {}, ids)
    configuration["business_profile"] |= _unset(params.get("business_profile"))
    configuration["features"] = _merge_features(configuration["features"], params.get("features", {}))
    configuration["metadata"] = merge_metadata(configuration["metadata"], params.get("metadata"))
    configuration["default_return_url"] = params.get("default_return_url", configuration["default_return_url"]) or None
    configuration |= {"active": params.get("active", configuration["active"]), "updated": world.now()}
    return configuration


def get_configuration(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/billing_portal/configurations/{id}."""
    return world.get("billing_portal.configuration", ids[0])


def create_portal_session(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/billing_portal/sessions."""
    customer = find_customer(world, params.get("customer", ""), param="customer")
    configuration = _configuration_for(world, params)
    session_id = world.new_id("bps")
    session = build(
        stripe.billing_portal.Session,
        id=session_id,
        configuration=configuration["id"],
        created=world.now(),
        customer=customer["id"],
        flow=_flow(params.get("flow_data")),
        livemode=False,
        locale=params.get("locale"),
        return_url=params.get("return_url") or configuration["default_return_url"],
        url=f"{world.base_url}/p/session/{session_id}",
    )
    world.emit("billing_portal.session.created", world.add(session))
    return session


def features_of(world: World, session: Json) -> Json:
    """Return what the session's configuration lets a customer do."""
    features: Json = world.get("billing_portal.configuration", session["configuration"])["features"]
    return features


def living_subscriptions(world: World, session: Json) -> list[Json]:
    """Return the customer's subscriptions that have not ended."""
    return [row for row in world.rows("subscription") if row["customer"] == session["customer"] and not row["ended_at"]]


def offered_prices(world: World, session: Json, subscription: Json) -> list[Json]:
    """Return the recurring prices a subscription can be switched to."""
    update = features_of(world, session)["subscription_update"]
    if not update["enabled"]:
        return []
    listed = {price for product in update["products"] or [] for price in product["prices"]}
    return [
        price
        for price in world.rows("price")
        if price["recurring"] and price["active"] and price["currency"] == subscription["currency"]
        if price["id"] in listed or not listed
    ]


def cancel_in_portal(world: World, session: Json, subscription_id: str) -> None:
    """End a subscription as the configuration has it: at the period's end, or at once.

    raises  InvalidRequest
    """
    subscription, rules = _own(world, session, subscription_id), features_of(world, session)["subscription_cancel"]
    _check_enabled(rules)
    if rules["mode"] == "immediately":
        cancel_subscription(world, {}, (subscription["id"],))
    else:
        update_subscription(world, {"cancel_at_period_end": True}, (subscription["id"],))


def resume_in_portal(world: World, session: Json, subscription_id: str) -> None:
    """Take back the wish to end.

    raises  InvalidRequest
    """
    subscription = _own(world, session, subscription_id)
    update_subscription(world, {"cancel_at_period_end": False}, (subscription["id"],))


def switch_in_portal(world: World, session: Json, subscription_id: str, price_id: str) -> None:
    """Change the plan with the configuration's proration.

    raises  InvalidRequest, ResourceMissing, CardRefused
    """
    subscription, rules = _own(world, session, subscription_id), features_of(world, session)["subscription_update"]
    _check_enabled(rules)
    if price_id not in {price["id"] for price in offered_prices(world, session, subscription)}:
        raise InvalidRequest("This plan is not offered.", param="price")
    item = {"id": subscription["items"]["data"][0]["id"], "price": price_id}
    params = {
        "items": [item],
        "proration_behavior": rules["proration_behavior"],
        "payment_behavior": "error_if_incomplete",
    }
    update_subscription(world, params, (subscription["id"],))


def describe_end(subscription: Json) -> int | None:
    """Return when a subscription ends by wish."""
    return period_end(subscription) if subscription["cancel_at_period_end"] else subscription["cancel_at"]


def _own(world: World, session: Json, subscription_id: str) -> Json:
    for subscription in living_subscriptions(world, session):
        if subscription["id"] == subscription_id:
            return subscription
    raise InvalidRequest("This customer has no such subscription.", param="subscription")


def _check_enabled(rules: Json) -> None:
    if not rules["enabled"]:
        raise InvalidRequest("The portal's configuration does not allow this.")


def _configuration_for(world: World, params: Json) -> Json:
    if "configuration" in params:
        return world.get("billing_portal.configuration", params["configuration"], param="configuration")
    for configuration in world.rows("billing_portal.configuration"):
        if configuration["is_default"]:
            return configuration
    return create_configuration(world, {"is_default": True})


def _flow(given: Json | None) -> Json | None:
    if given is None:
        return None
    after = build(
        stripe.billing_portal.Session.Flow.AfterCompletion,
        **{"type": "portal_homepage", **given.get("after_completion", {})},
    )
    return build(stripe.billing_portal.Session.Flow, **{**given, "after_completion": after})


def _merge_features(old: Json, given: Json) -> Json:
    return {name: {**rules, **_unset(given.get(name))} for name, rules in old.items()}


def _unset(given: Any) -> Json:
    return {name: None if value == "" else value for name, value in (given or {}).items()}
