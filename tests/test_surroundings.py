"""The surroundings of the tests keep their promises."""

import os
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_no_setting_leaks_in():
    """No key and no setting of the machine reaches a test."""
    leaked = [n for n in os.environ if n.startswith(("QUANTLAB_", "KRAKEN_", "HYPERLIQUID_"))]
    assert leaked == []


def test_working_directory_is_empty_of_env_files():
    """A developer's `.env` lies out of sight."""
    assert not Path(".env").exists()
    assert Path.cwd() != ROOT


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_network_is_closed(method):
    """A connection that would leave the machine fails the test that tries it."""
    with socket.socket() as end, pytest.raises(AssertionError, match="only loopback"):
        getattr(end, method)(("192.0.2.1", 443))


def test_loopback_is_open():
    """Loopback works: the rehearsal exchange lives there."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert server.getsockname() == client.getpeername()


def test_canaries_sing(canaries):
    """A secret in a text is found and named."""
    assert canaries.find_in(f"key={canaries.kraken_secret}!") == ["kraken_secret"]
    assert canaries.find_in("nothing") == []
