"""The rehearsal clock: the exchange's time as the tool's own, and the machine's own where none answers."""

from datetime import timedelta

import pytest

from quantlab.kernel.clock import from_ns
from quantlab.venues.rehearsal_clock import RehearsalClock
from quantlab.venues.sockets import ConnectionFault
from tests.support.virtual import URL, VirtualClock, VirtualConnection
from tests.unit.rehearsal.driving import World


class CountingConnector:
    """A connector to the world's Kraken face that counts, and can refuse or answer otherwise."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.count = 0
        self.answer: bytes | None = None
        self.refuse = False
        self.sent = b""

    def connect(self, endpoint, *, timeout_ms: int):
        self.count += 1
        if self.refuse:
            raise ConnectionFault("connection refused")
        connection = VirtualConnection(self.world, self._keep)
        if self.answer is not None:
            body = self.answer
            connection.send = lambda data, *, timeout_ms: None
            connection.buffer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        return connection

    def _keep(self, data: bytes) -> None:
        self.sent += data


@pytest.fixture
def world() -> World:
    """Return an exchange."""
    return World()


@pytest.fixture
def connector(world: World) -> CountingConnector:
    """Return its connector."""
    return CountingConnector(world)


@pytest.fixture
def clock(world: World, connector: CountingConnector) -> RehearsalClock:
    """Return the clock under test."""
    return RehearsalClock(system=VirtualClock(world), connector=connector, base_url=URL + "/")


def test_an_advanced_exchange_is_our_time(world: World, clock: RehearsalClock) -> None:
    """After an hour was added to the exchange's clock, so it is to ours."""
    before = clock.now()
    world.control("POST", "/clock", {"advance_seconds": 3600})
    world.driver_ns += 10**9
    assert clock.now() - before == timedelta(seconds=3601)


def test_it_asks_without_a_key_and_with_no_body(clock: RehearsalClock, connector: CountingConnector) -> None:
    """One plain GET of the clock's path."""
    clock.now()
    assert connector.sent.startswith(b"GET /rehearsal/clock HTTP/1.1\r\n")
    assert b"API-Key" not in connector.sent


def test_it_asks_again_after_half_a_second(world: World, clock: RehearsalClock, connector: CountingConnector) -> None:
    """Within half a second the last answer serves; after it the exchange is asked again."""
    clock.now()
    world.driver_ns += 500_000_000
    clock.now()
    assert connector.count == 1
    world.driver_ns += 1
    clock.now()
    assert connector.count == 2


def test_without_an_exchange_the_machines_time_serves(
    world: World, clock: RehearsalClock, connector: CountingConnector
) -> None:
    """Nobody answers: the machine's own time, and no exception."""
    connector.refuse = True
    assert from_ns(world.driver_ns) == clock.now()


@pytest.mark.parametrize("answer", [b"no json", b"{}", b'{"now_ns":"soon"}', b'{"now_ns":5}'])
def test_an_answer_that_is_no_time_is_ignored(
    world: World, clock: RehearsalClock, connector: CountingConnector, answer: bytes
) -> None:
    """Garbage in the answer's place: the machine's own time."""
    connector.answer = answer
    assert from_ns(world.driver_ns) == clock.now()


def test_the_last_known_offset_stays_when_the_exchange_falls_silent(
    world: World, clock: RehearsalClock, connector: CountingConnector
) -> None:
    """Advanced by an hour, then unreachable: the hour stays."""
    world.control("POST", "/clock", {"advance_seconds": 3600})
    before = clock.now()
    connector.refuse = True
    world.driver_ns += 10**9
    assert clock.now() - before == timedelta(seconds=1)


def test_counter_and_waiting_are_the_machines(world: World, clock: RehearsalClock) -> None:
    """The monotonic counter and the sleep do not follow the exchange's clock."""
    world.control("POST", "/clock", {"advance_seconds": 3600})
    assert world.driver_ns == clock.monotonic_ns()
    before = world.driver_ns
    clock.sleep_ms(250)
    assert before + 250_000_000 == world.driver_ns
