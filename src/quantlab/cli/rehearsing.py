"""A rehearsal exchange as a child process, and its control interface, for the walk."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from quantlab import config
from quantlab.kernel.canonical import decimal_text
from quantlab.kernel.clock import SystemClock
from quantlab.kernel.errors import Unreadable
from quantlab.venues.redaction import Redactor
from quantlab.venues.sockets import SocketConnector
from quantlab.venues.transport import HttpRequest, Transport

STOP_SECONDS: Final = 5
RESTING_SHARE: Final = Decimal("0.99")


class Exchange:
    """A running exchange: its environment for operators, and its control interface."""

    def __init__(self, line: Mapping[str, Any]) -> None:
        """Take the line that the exchange printed."""
        self.env: dict[str, str] = dict(line["env"])
        self._control_url = str(line["control_url"])
        self._kraken_url = str(line["kraken_url"])
        self._hyperliquid_url = str(line["hyperliquid_url"])
        clock = SystemClock()
        self._transport = Transport(
            connector=SocketConnector(clock=clock),
            clock=clock,
            redactor=Redactor(),
            needs_attempt=lambda path, body: path.startswith("/0/private/") or len(body) > 65_536,
        )

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control interface and return its JSON.

        Raises:
            Unreadable: it does not answer.
        """
        return self._json(method, self._control_url + path, body)

    def resting_price(self) -> str:
        """Return a price a little below the market, at which a buy order rests."""
        answer = self._json("GET", f"{self._kraken_url}/0/public/Ticker?pair=ETHUSD", None)
        [row] = answer["result"].values()
        price = Decimal(row["b"][0]) * RESTING_SHARE
        return decimal_text(price.quantize(Decimal("0.01")))

    def resting_perp_price(self) -> str:
        """Return the same of the ETH perp. It is a whole number: on that market each of them is a price."""
        answer = self._json("POST", f"{self._hyperliquid_url}/info", {"type": "l2Book", "coin": "ETH"})
        bid = Decimal(answer["levels"][0][0]["px"])
        return decimal_text((bid * RESTING_SHARE).quantize(Decimal(1)))

    def _json(self, method: str, url: str, body: Any) -> Any:
        data = b"" if body is None else msgspec.json.encode(body)
        headers = () if body is None else (("Content-Type", "application/json"),)
        request = HttpRequest(purpose="rehearsal", method=method, url=url, headers=headers, body=data)
        answer = self._transport.exchange(request)
        self._transport.tape.take()
        if not answer.whole or answer.exchange.status != 200:
            message = f"The rehearsal exchange does not answer {method} {url}: {answer.exchange.fault}."
            raise Unreadable(message, code="rehearsal_unreachable", measured=answer.exchange.fault)
        return msgspec.json.decode(answer.body)


@contextlib.contextmanager
def started_exchange(state: Path) -> Iterator[Exchange]:
    """Start an exchange with its state in ``state``, and end it when the context ends.

    Raises:
        Unreadable: it did not start.
    """
    child = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "quantlab.rehearsal", "--state", str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = child.stdout.readline() if child.stdout is not None else ""
        if not line:
            raise Unreadable("The rehearsal exchange did not start.", code="rehearsal_not_started")
        yield Exchange(msgspec.json.decode(line))
    finally:
        child.terminate()
        try:
            child.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def in_child_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an operator's process: ours without our settings, and the exchange's own."""
    kept = {name: value for name, value in config.process_environ().items() if name not in config.SETTING_NAMES}
    return kept | dict(env)
