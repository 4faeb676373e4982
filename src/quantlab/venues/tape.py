"""The tape: what was said on the wire since the last record took it."""

from __future__ import annotations

from quantlab.model.execution import WireExchange


class Tape:
    """Collects exchanges in the order in which they ended, redacted already."""

    def __init__(self) -> None:
        self._exchanges: list[WireExchange] = []

    def add(self, exchange: WireExchange) -> None:
        """Append one exchange."""
        self._exchanges.append(exchange)

    def peek(self) -> tuple[WireExchange, ...]:
        """Return what is on the tape and leave it there."""
        return tuple(self._exchanges)

    def take(self) -> tuple[WireExchange, ...]:
        """Return what is on the tape and empty it."""
        taken = tuple(self._exchanges)
        self._exchanges.clear()
        return taken
