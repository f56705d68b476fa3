"""Stripe as the functions hold it: what is sold there, what was paid, what is subscribed to, who may tell us."""

import aiohttp
import msgspec

from shared.clients.stripe.payments import StripePayments
from shared.clients.stripe.sales import StripeSales
from shared.clients.stripe.subscriptions import StripeSubscriptions
from shared.clients.stripe.wire import StripeWire
from shared.core.integrations import StripeSettings


class Stripe(msgspec.Struct, frozen=True):
    """One account at Stripe."""

    sales: StripeSales
    payments: StripePayments
    subscriptions: StripeSubscriptions


def open_stripe(session: aiohttp.ClientSession, settings: StripeSettings | None) -> Stripe | None:
    """Make the client that the settings describe; None where nothing is sold. Who opened the session closes it."""
    if settings is None:
        return None
    wire = StripeWire(session, secret_key=settings.secret_key, api_url=settings.api_url)
    return Stripe(StripeSales(wire, is_taxed=settings.is_taxed), StripePayments(wire), StripeSubscriptions(wire))
