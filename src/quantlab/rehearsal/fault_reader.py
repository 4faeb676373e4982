"""Reading fault objects: what a person may write, and a clear sentence where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

from msgspec.structs import replace

from quantlab.rehearsal.faults import KINDS, NS, STANDING, Fault
from quantlab.rehearsal.hyperliquid_knobs import check_knobs
from quantlab.rehearsal.kraken_knobs import check_rules

_KEYS: Final = frozenset({"venue", "path", "type", "fault", "count", "after", "value"})
_MODES: Final = {
    "kraken": frozenset({"online", "maintenance", "cancel_only", "post_only", "limit_only"}),
    "hyperliquid": frozenset({"online", "post_only"}),
}
_DEFAULT_ERRORS: Final = {"kraken": "EService:Unavailable", "hyperliquid": "Internal error"}
_ONE_VENUE: Final = {
    "nonce_window": "kraken", "limits": "hyperliquid", "agent_removed": "hyperliquid", "nonce_forgotten": "hyperliquid",
}  # fmt: skip
"""Faults that only one venue has."""


class FaultRefused(ValueError):
    """A fault object that cannot be understood; the message says why, for the person who wrote it."""


def read_fault(data: object) -> Fault:
    """Read one fault object of `POST /faults` or of a faults file.

    Raises:
        FaultRefused: an unknown field, fault or value; the message names it.
    """
    if not isinstance(data, dict):
        raise FaultRefused("a fault is a JSON object")
    unknown = sorted(set(map(str, data)) - _KEYS)
    if unknown:
        raise FaultRefused(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    name = data.get("fault")
    if name not in KINDS:
        raise FaultRefused(f"unknown fault {name!r}; known are {', '.join(sorted(KINDS))}")
    venue = data.get("venue")
    if venue not in ("kraken", "hyperliquid"):
        raise FaultRefused(f"venue must be 'kraken' or 'hyperliquid', not {venue!r}")
    if _ONE_VENUE.get(str(name), venue) != venue:
        raise FaultRefused(f"{name} is a fault of {_ONE_VENUE[str(name)]} alone")
    path = data.get("path", "*")
    kind = data.get("type")
    if not isinstance(path, str) or not (kind is None or isinstance(kind, str)):
        raise FaultRefused("path and type are texts")
    count = data.get("count")
    fault = Fault(
        venue=venue,
        path=path,
        type=kind,
        fault=str(name),
        count=_count(count, "count") if "count" in data else int(name not in STANDING),
        after=_count(data.get("after"), "after"),
        value=data.get("value"),
    )
    return _with_value(fault, data.get("value"))


def _count(value: object, name: str) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FaultRefused(f"{name} must be a whole number that is not negative, not {value!r}")
    return value


def _span_ns(value: object, *, negative: bool = False) -> int:
    try:
        seconds = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        seconds = Decimal("NaN")
    if not seconds.is_finite() or (seconds < 0 and not negative) or abs(seconds) > 10**9:
        raise FaultRefused(f"value must be a number of seconds, not {value!r}")
    return int(seconds * NS)


def _fields(value: object, allowed: set[str]) -> dict[str, object]:
    if not isinstance(value, dict):
        return {}
    unknown = sorted(set(map(str, value)) - allowed)
    if unknown:
        raise FaultRefused(f"unknown field {unknown[0]!r} in value; known are {sorted(allowed)}")
    return {str(k): v for k, v in value.items()}


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise FaultRefused(f"{name} must be true or false, not {value!r}")
    return value


def _with_value(fault: Fault, value: object) -> Fault:
    reader = _READERS.get(fault.fault)
    if reader is not None:
        return reader(fault, value)
    if value is not None:
        raise FaultRefused(f"{fault.fault} takes no value")
    return fault


def _needed_span(fault: Fault, value: object) -> Fault:
    if value is None:
        raise FaultRefused(f"{fault.fault} needs value, a number of seconds")
    return replace(fault, span_ns=_span_ns(value))


def _delay(fault: Fault, value: object) -> Fault:
    if not isinstance(value, dict):
        return _needed_span(fault, value)
    if fault.venue != "hyperliquid":
        raise FaultRefused("value of delay is a number of seconds")
    fields = _fields(value, {"seconds", "after_accept"})
    accept = _flag(fields.get("after_accept", False), "after_accept")
    return replace(_needed_span(fault, fields.get("seconds")), after_accept=accept)


def _agent_removed(fault: Fault, value: object) -> Fault:
    if value not in (None, "removed", "replaced", "unenforced"):
        raise FaultRefused(f"value of agent_removed is 'removed', 'replaced' or 'unenforced', not {value!r}")
    return replace(fault, text=str(value or "removed"))


def _knobs(fault: Fault, value: object) -> Fault:
    try:
        if fault.venue == "kraken":
            check_rules(value)
        else:
            check_knobs(fault.fault, value)
    except ValueError as error:
        raise FaultRefused(str(error)) from error
    return fault


def _skew(fault: Fault, value: object) -> Fault:
    return replace(fault, span_ns=_span_ns(0 if value is None else value, negative=True))


def _stale_reads(fault: Fault, value: object) -> Fault:
    return replace(fault, span_ns=_span_ns(60 if value is None else value))


def _refuse_connect(fault: Fault, value: object) -> Fault:
    fields = _fields(value, {"seconds", "once_answered"})
    seconds = fields.get("seconds", 0) if isinstance(value, dict) else value
    once = fields.get("once_answered", "")
    if not isinstance(once, str):
        raise FaultRefused(f"once_answered is a path, not {once!r}")
    return replace(fault, span_ns=_span_ns(seconds or 0), once_answered=once)


def _garbage(fault: Fault, value: object) -> Fault:
    if value is not None and not isinstance(value, dict):
        raise FaultRefused('value of garbage is {"after_accept": true or false}')
    fields = _fields(value, {"after_accept"})
    return replace(fault, after_accept=_flag(fields.get("after_accept", True), "after_accept"))


def _truncate(fault: Fault, value: object) -> Fault:
    if value not in (None, "length", "json"):
        raise FaultRefused(f"value of truncate is 'length' or 'json', not {value!r}")
    return replace(fault, text=str(value or "length"))


def _system_status(fault: Fault, value: object) -> Fault:
    modes = _MODES[fault.venue]
    if value not in modes:
        raise FaultRefused(f"value of system_status is one of {sorted(modes)}, not {value!r}")
    return replace(fault, text=str(value))


def _nonce_window(fault: Fault, value: object) -> Fault:
    return replace(fault, status=_count(value, "value"))


def _http_error(fault: Fault, value: object) -> Fault:
    fields = _fields(value, {"status", "after_accept"})
    status = fields.get("status", 502) if isinstance(value, dict) else value
    status = 502 if status is None else status
    if isinstance(status, bool) or not isinstance(status, int) or not 400 <= status <= 599:
        raise FaultRefused(f"value of http_error is a status from 400 to 599, not {status!r}")
    accept = _flag(fields.get("after_accept", False), "after_accept")
    return replace(fault, status=status, after_accept=accept)


def _api_error(fault: Fault, value: object) -> Fault:
    allowed = {"error", "after_accept"} | ({"per_order"} if fault.venue == "hyperliquid" else set())
    fields = _fields(value, allowed)
    error = fields.get("error") if isinstance(value, dict) else value
    if error is None:
        error = _DEFAULT_ERRORS[fault.venue]
    if not isinstance(error, str) or not error:
        raise FaultRefused(f"value of api_error is the error text, not {error!r}")
    accept = _flag(fields.get("after_accept", False), "after_accept")
    per_order = _flag(fields.get("per_order", False), "per_order")
    return replace(fault, text=error, after_accept=accept, per_order=per_order)


def _partial_fill(fault: Fault, value: object) -> Fault:
    fields = _fields(value, {"fraction", "then"})
    given = fields.get("fraction") if isinstance(value, dict) else value
    then = fields.get("then", "rest")
    if then not in ("rest", "cancel", "fill"):
        raise FaultRefused(f"then is 'rest', 'cancel' or 'fill', not {then!r}")
    try:
        fraction = Decimal("0.5") if given is None else Decimal(str(given))
    except InvalidOperation:
        fraction = Decimal("NaN")
    if not fraction.is_finite() or not 0 < fraction < 1:
        raise FaultRefused(f"the fraction must lie between 0 and 1, not {given!r}")
    return replace(fault, fraction=fraction, text=str(then))


_READERS: Final[dict[str, Callable[[Fault, object], Fault]]] = {
    "delay": _delay,
    "late": _needed_span,
    "clock_skew": _skew,
    "stale_reads": _stale_reads,
    "refuse_connect": _refuse_connect,
    "http_error": _http_error,
    "api_error": _api_error,
    "garbage": _garbage,
    "truncate": _truncate,
    "partial_fill": _partial_fill,
    "system_status": _system_status,
    "nonce_window": _nonce_window,
    "agent_removed": _agent_removed,
    "limits": _knobs,
    "rules": _knobs,
}
"""How the value of each fault is read; the others take none."""
