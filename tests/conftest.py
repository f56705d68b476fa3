"""Fixtures: the real stack once per session, and what one test needs of its own."""

from collections.abc import Callable, Iterator

import pytest

from infra.catalog.publish import publish_facts
from infra.local.stack import ROOT, LocalStack
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.mail import MailCatcher
from tests.harness.privy import PrivyTokens
from tests.harness.recorded_streams import RecordedStreams
from tests.harness.sessions import take_free_stack
from tests.harness.simulator import Simulator
from tests.harness.stripe import StripeDouble
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Wire


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """PostgreSQL, PostgREST, Redis, the REST emulator and the simulator: migrated, seeded, wiped at the next run."""
    stack = take_free_stack(ROOT / ".local" / "test")
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def catalog_stack() -> Iterator[LocalStack]:
    """A stack for what changes the catalog, which the tests of the other one share."""
    stack = take_free_stack(ROOT / ".local" / "test")
    try:
        stack.start()
        publish_facts(stack.database_url)
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def untouched_stack() -> Iterator[LocalStack]:
    """A stack for what looks at everything in it, where tests of the other one leave dead letters and old keys."""
    stack = take_free_stack(ROOT / ".local" / "test")
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def streams(stack: LocalStack) -> Iterator[RecordedStreams]:
    """Every stream that a gateway of the session sends, to be held against its grammar."""
    recorded = RecordedStreams(stack.processes.log_path("any").parent)
    yield recorded
    recorded.check_unfinished()


@pytest.fixture(autouse=True)
def _every_stream_is_grammatical(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check what was streamed within the test, by whichever client; what goes on after it is checked in a later one."""
    recorded: RecordedStreams | None = None
    if "stack" in request.fixturenames:
        recorded = request.getfixturevalue("streams")
    yield
    if recorded is not None:
        recorded.check(request.node.nodeid)


@pytest.fixture(scope="session")
def database_url(stack: LocalStack) -> str:
    """The database for the owner of the tables."""
    return stack.database_url


@pytest.fixture(scope="session")
def superuser_url(stack: LocalStack) -> str:
    """The database for the superuser."""
    return stack.superuser_url


@pytest.fixture(scope="session")
def simulator(stack: LocalStack) -> Simulator:
    """What the simulated providers were asked, and their gates."""
    return Simulator(stack.ports.simulator)


@pytest.fixture(scope="session")
def gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    """One gateway for all tests that need nothing special of it."""
    gateways = Gateways(stack)
    try:
        yield gateways()
    finally:
        gateways.stop_all()


@pytest.fixture
def start_gateway(stack: LocalStack) -> Iterator[Gateways]:
    """Start further gateways, with other variables; they end with the test."""
    gateways = Gateways(stack)
    try:
        yield gateways
    finally:
        gateways.stop_all()


@pytest.fixture(scope="session")
def tenant(stack: LocalStack) -> Tenants:
    """Make accounts: `tenant(limits=…, credit_nanos=…)`."""
    return Tenants(stack.database_url, stack.credentials.gateway_secret)


@pytest.fixture(scope="session")
def privy(stack: LocalStack) -> PrivyTokens:
    """Tokens of the Privy that the stack's gateways believe."""
    return PrivyTokens(stack.privy_key)


@pytest.fixture
def stripe_double(stack: LocalStack) -> Iterator[StripeDouble]:
    """Stripe's double, with an empty memory; `stripe_double.tell(gateway)` has its events sent there."""
    double = StripeDouble(stack.stripe_url)
    double.reset()
    yield double
    double.close()


@pytest.fixture
def mail_catcher(stack: LocalStack) -> Iterator[MailCatcher]:
    """Whoever plays Resend, with an empty memory."""
    catcher = MailCatcher(stack.mail_url)
    catcher.reset()
    yield catcher
    catcher.reset()
    catcher.close()


@pytest.fixture(scope="session")
def make_model(stack: LocalStack) -> Models:
    """Make models: `make_model("tokens=5", input_usd_per_mtok=…)`."""
    return Models(stack.database_url)


@pytest.fixture
def open_wire() -> Iterator[Callable[[str], Wire]]:
    """Put a wire before a store: `open_wire(stack.supabase_url).url`; it closes with the test."""
    wires: list[Wire] = []

    def open_before(target: str) -> Wire:
        wires.append(Wire(target).open())
        return wires[-1]

    yield open_before
    for wire in wires:
        wire.close()
