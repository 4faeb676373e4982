"""The JSON envelope: what `--json` prints, one line, the same keys for every command and every end."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from quantlab.kernel import canonical
from quantlab.kernel.clock import rfc3339
from quantlab.kernel.errors import EXIT_CODES
from quantlab.kernel.result import Refusal, Result

SCHEMA: Final = "quantlab.result/1"


class NextCommand(msgspec.Struct, frozen=True, kw_only=True):
    """The next step in the operator's own spelling, quoted for a shell."""

    why: str
    command: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A result with all that the command line adds: ready to be rendered as text or as JSON."""

    command: str
    result: Result
    environment: str | None
    next: NextCommand | None

    @property
    def exit_code(self) -> int:
        """Return the exit code that the outcome stands for."""
        return EXIT_CODES[self.result.outcome]  # type: ignore[index]


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    schema: str
    command: str
    environment: str | None
    outcome: str
    exit_code: int
    session_id: str | None
    artifacts: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    next: NextCommand | None
    data: Any


def envelope_line(report: Report) -> str:
    """Return the envelope as one line of JSON, without a line break at its end."""
    result = report.result
    return json_line(
        _Envelope(
            schema=SCHEMA,
            command=report.command,
            environment=report.environment,
            outcome=result.outcome,
            exit_code=report.exit_code,
            session_id=result.session_id,
            artifacts=result.artifacts,
            refusals=result.refusals,
            next=report.next,
            data=result.data,
        )
    )


def json_line(value: Any) -> str:
    """Return any document as one line of JSON: decimals as plain text, times as RFC 3339."""
    builtins = msgspec.to_builtins(value, builtin_types=(Decimal, datetime), str_keys=True, enc_hook=_spell)
    return msgspec.json.encode(_plain(builtins)).decode("utf-8")


def _spell(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    message = f"{type(value).__name__} has no JSON form"
    raise NotImplementedError(message)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {well_formed(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, Decimal):
        return canonical.decimal_text(value) if value.is_finite() else str(value)
    return rfc3339(value) if isinstance(value, datetime) else value


def well_formed(text: str) -> str:
    """Return the text with lone surrogates spelled out, so that it has UTF-8 bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
