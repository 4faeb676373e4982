"""Preflight: is the venue reachable, is the market found, and what are its rules. No key is needed.

Where the account is public and known, what the venue says of it and its signer stands beside.

Needs: nothing. Makes: ``broker_preflight``.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from quantlab.evidence.preparatory import Preflight
from quantlab.kernel.canonical import decimal_text
from quantlab.kernel.result import Fact, Result
from quantlab.model.instrument import Instrument, Quote
from quantlab.model.order import Side
from quantlab.model.recorded import Check
from quantlab.rungs.checks import all_passed, clock_check, one_check, symbol_check
from quantlab.rungs.desk import Desk, artifact_paths, refusals_of
from quantlab.rungs.outdirs import outdir_session
from quantlab.venues.port import VenueReadFailed, VenueReads


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Where to write, which market, and over which transports."""

    outdir: Path
    symbol: str | None
    transport: Literal["rest", "websocket", "either"] = "either"
    side: Side | None = None
    quantity: Decimal | None = None
    account: str | None = None
    signer: str | None = None


class _Findings(msgspec.Struct, kw_only=True):
    checks: list[Check] = []
    instrument: Instrument | None = None
    quote: Quote | None = None
    market: tuple[tuple[str, str], ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    unreadable: bool = False


def run(desk: Desk, request: Request) -> Result:
    """Look at the venue and write what was found, also when it is not ready.

    Raises:
        UsageFault: the symbol can not be understood.
        Denied: no environment is set.
    """
    desk.environment  # noqa: B018 - refuses when none is set
    desk.serve(account=request.account, signer=request.signer)
    symbol = desk.public_reads.parse_symbol(request.symbol) if request.symbol else None
    found = _Findings()
    if request.transport in {"rest", "either"}:
        _look(desk, found, request, symbol, reads=desk.public_reads)
    if request.transport in {"websocket", "either"}:
        _stream(desk, found)
    if request.transport == "websocket":
        _look_over_stream(desk, found, request, symbol)
    checks = tuple(found.checks)
    passed = all_passed(checks)
    with outdir_session(desk, request.outdir) as writer:
        record = desk.append(
            writer,
            Preflight(
                preflight_passed=passed,
                venue=desk.corridor.venue,
                transports=("rest", "websocket") if request.transport == "either" else (request.transport,),
                symbol=symbol,
                instrument=_instrument_pairs(found.instrument),
                quote=(*_quote_pairs(found.quote), *found.market),
                checks=checks,
                exchanges=desk.take_exchanges(),
                details=found.details,
            ),
        )
        outcome = "done" if passed else ("unreadable" if found.unreadable else "denied")
        return desk.result(
            outcome,
            "The venue is reachable and takes orders." if passed else "Not ready: see the refusals.",
            data=record.body,
            facts=tuple(
                Fact(label=label, value=value)
                for label, value in (*record.body.instrument, *record.body.quote, *record.body.details)
            ),
            refusals=refusals_of(checks),
            artifacts=artifact_paths(writer.session, record),
        )


def _look_over_stream(desk: Desk, found: _Findings, request: Request, symbol: str | None) -> None:
    """Look once more through the stream itself, where the venue answers questions over it."""
    stream = desk.public_reads.over_stream()
    if stream is None:
        return
    with stream as reads:
        _look(desk, found, request, symbol, reads=reads)


def _look(desk: Desk, found: _Findings, request: Request, symbol: str | None, *, reads: VenueReads) -> None:
    try:
        found.checks.append(clock_check(desk, reads.read_time()))
        status = reads.read_system_status()
        found.checks.append(
            one_check("venue_status", status.mode == "online", status.raw, "online", "The venue is not fully open.")
        )
        if symbol is not None:
            _look_at_market(desk, found, request, symbol, reads=reads)
        if reads.account_is_public and not desk.side.missing and not reads.account_refusals():
            found.details = reads.read_account_details()
    except VenueReadFailed as failure:
        found.unreadable = failure.kind != "not_known"
        found.checks.append(
            one_check(failure.code, False, "; ".join(failure.errors) or "failed", "an answer", failure.message)
        )


def _look_at_market(desk: Desk, found: _Findings, request: Request, symbol: str, *, reads: VenueReads) -> None:
    found.checks.append(symbol_check(desk.policy, symbol))
    instrument = found.instrument = reads.read_instrument(symbol)
    found.checks.append(
        one_check(
            "market_status", instrument.mode == "online", instrument.mode, "online", "The market is not fully open."
        )
    )
    found.quote = reads.read_quote(instrument)
    found.market = (("mid", decimal_text((found.quote.bid + found.quote.ask) / 2)),)
    if request.side is None or request.quantity is None:
        return
    worst = reads.read_depth(instrument).worst_price(request.quantity, buying=request.side == "buy")
    found.checks.append(
        one_check(
            "book_depth",
            worst is not None,
            "enough" if worst is not None else "less than the size",
            f"{decimal_text(request.quantity)} at once",
            "The book that the venue shows holds less than this size.",
        )
    )
    if worst is not None:
        found.market = (*found.market, (f"worst price of {decimal_text(request.quantity)} now", decimal_text(worst)))


def _stream(desk: Desk, found: _Findings) -> None:
    try:
        detail = desk.public_reads.check_stream()
        found.checks.append(one_check("websocket", True, detail, "an answer", "The stream answers."))
    except VenueReadFailed as failure:
        found.unreadable = True
        found.checks.append(
            one_check("websocket", False, "; ".join(failure.errors) or "failed", "an answer", failure.message)
        )


def _instrument_pairs(instrument: Instrument | None) -> tuple[tuple[str, str], ...]:
    if instrument is None:
        return ()
    return (
        ("symbol", instrument.symbol),
        ("venue_symbol", instrument.venue_symbol),
        ("price_increment", decimal_text(instrument.price_increment)),
        ("size_increment", decimal_text(instrument.size_increment)),
        ("minimum_size", decimal_text(instrument.minimum_size)),
        ("minimum_cost", decimal_text(instrument.minimum_cost)),
        ("taker_fee_bps", decimal_text(instrument.taker_fee_bps)),
        ("mode", instrument.mode),
    )


def _quote_pairs(quote: Quote | None) -> tuple[tuple[str, str], ...]:
    if quote is None:
        return ()
    return (("bid", decimal_text(quote.bid)), ("ask", decimal_text(quote.ask)))
