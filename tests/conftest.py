"""What every test stands on: a clean environment, an empty folder, and loopback only."""

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, NamedTuple

import hypothesis
import pytest

# A leaked setting or key would turn a test into an act.
SCRUBBED_PREFIXES = ("QUANTLAB_", "KRAKEN_", "HYPERLIQUID_", "GIT_")
SCRUBBED_NAMES = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTHONPATH")

# The gate repeats itself exactly; the deep profile searches (HYPOTHESIS_PROFILE=deep).
hypothesis.settings.register_profile("gate", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

if "PYTEST_XDIST_WORKER" in os.environ:
    # This worker is measured already; the commands that its tests start are not (pyproject.toml says why).
    for _name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        os.environ.pop(_name, None)


class Canaries(NamedTuple):
    """Made-up secrets. None may ever appear in a file, a message or a process argument."""

    kraken_key: str
    kraken_secret: str
    hyperliquid_private_key: str

    def find_in(self, text: str) -> list[str]:
        """Return the names of the secrets that `text` gives away."""
        return [name for name, secret in self._asdict().items() if secret in text]


class NetworkReachedError(AssertionError):
    """A test tried to leave this machine."""


@pytest.fixture(scope="session")
def canaries() -> Canaries:
    """Return made-up secrets in the venues' own forms."""
    return Canaries(
        kraken_key="CANARYkeyCANARYkeyCANARYkeyCANARYkeyCANARYkeyCANARYkeyCA",
        kraken_secret="Q0FOQVJZLXNlY3JldC1DQU5BUlktc2VjcmV0LUNBTkFSWS1zZWNyZXQtQ0FOQVJZ",
        hyperliquid_private_key="0x" + "ca0a51" * 10 + "ca0a",
    )


def is_local(address: Any) -> bool:
    """Tell whether a socket address stays on this machine."""
    if not isinstance(address, tuple):
        return True  # AF_UNIX
    host = str(address[0])
    if host in {"localhost", ""}:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _guard(original: Any) -> Any:
    """Wrap a socket method so that it refuses to leave this machine."""

    def guarded(self: socket.socket, address: Any) -> Any:
        if not is_local(address):
            message = f"a test tried to reach {address}: only loopback is allowed"
            raise NetworkReachedError(message)
        return original(self, address)

    return guarded


@pytest.fixture(scope="session", autouse=True)
def _quiet_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Scrub the environment, leave the checkout (and its `.env`), and close the network."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(SCRUBBED_PREFIXES) or name in SCRUBBED_NAMES:
                patch.delenv(name)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.chdir(tmp_path_factory.mktemp("cwd"))
        patch.setattr(socket.socket, "connect", _guard(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", _guard(socket.socket.connect_ex))
        yield
