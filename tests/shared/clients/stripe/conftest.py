"""Our client of Stripe, with the stack's double at the other end."""

from collections.abc import AsyncIterator

import pytest

from infra.local.environment import STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET
from infra.local.stack import LocalStack
from shared.clients.http_session import open_session
from shared.clients.stripe.client import Stripe, open_stripe
from shared.clients.stripe.facts import Subscription
from shared.core.integrations import StripeSettings
from tests.harness.stripe import StripeDouble
from tests.shared.clients.stripe.buying import SECRETS, subscribe


@pytest.fixture
async def stripe(stack: LocalStack, stripe_double: StripeDouble) -> AsyncIterator[Stripe]:
    """The client."""
    async with open_session() as session:
        opened = open_stripe(session, StripeSettings(STRIPE_API_KEY, SECRETS, stack.stripe_url))
        assert opened is not None
        yield opened


@pytest.fixture
async def taxing(stack: LocalStack, stripe_double: StripeDouble) -> AsyncIterator[Stripe]:
    """A client that has Stripe add taxes, of ten percent."""
    stripe_double.control("/settings", tax_basis_points=1_000)
    async with open_session() as session:
        settings = StripeSettings(STRIPE_API_KEY, (STRIPE_WEBHOOK_SECRET,), stack.stripe_url, is_taxed=True)
        opened = open_stripe(session, settings)
        assert opened is not None
        yield opened


@pytest.fixture
async def subscription(stripe: Stripe, stripe_double: StripeDouble) -> Subscription:
    """A subscription to the dearer of two plans."""
    return await subscribe(stripe, stripe_double, 9_900)
