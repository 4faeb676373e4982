"""Certify: try the venue's assumptions that can be tried, where no money is at stake, and record what was answered.

Nonces are burned, one order is sent that has run out before it is sent, and one whose price no seller can take. None of
them can stay in the book. What a ``not_landed`` proves rests on these answers, so it cites this record. Refused live.

Needs: a signer's key, an environment without real money. Makes: ``hyperliquid_certification``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from quantlab.evidence.preparatory import Certification as CertificationBody
from quantlab.evidence.preparatory import Probe, ProbeAttempt
from quantlab.kernel.clock import to_ns
from quantlab.kernel.errors import Denied
from quantlab.kernel.ids import mint_intent_id, session_id_of
from quantlab.kernel.result import NextStep, Refusal, Result
from quantlab.model.execution import BurnAnswer, PreparedSend, SubmitAnswer
from quantlab.model.order import OrderIntent, Plan, Promotion
from quantlab.rungs.desk import Desk, artifact_paths, required_text
from quantlab.rungs.key_options import KeyOptions, key_source_of
from quantlab.rungs.outdirs import outdir_session
from quantlab.rungs.planning import plan_of
from quantlab.rungs.terms import Outlook, Terms, read_outlook
from quantlab.storage.ledger import Certification
from quantlab.storage.writer import SessionWriter
from quantlab.venues.effects import SignedEffects
from quantlab.venues.port import VenueReadFailed

PROBE_SYMBOL: Final = "ETH"
PROBE_NOTIONAL_QUOTE: Final = Decimal(20)
PROBE_PRICE_FACTOR: Final = Decimal("0.8")
PROBE_LIFETIME: Final = timedelta(seconds=60)


class Request(KeyOptions, frozen=True, kw_only=True):
    """Where to write, for which account and signer, where the key is, and who certifies."""

    outdir: Path
    reviewer: str | None
    confirm: bool
    account: str | None = None
    signer: str | None = None
    symbol: str = PROBE_SYMBOL


class _Bench:
    """What the probes share: the effects, a plan that can not trade, and the probes made so far."""

    def __init__(self, desk: Desk, writer: SessionWriter, effects: SignedEffects, plan: Plan, reviewer: str) -> None:
        self.desk = desk
        self.writer = writer
        self.effects = effects
        self.plan = plan
        self.reviewer = reviewer
        self.probes: list[Probe] = []

    def next_nonce(self) -> int:
        """Return a nonce of the signer, durably recorded as used."""
        desk = self.desk
        floor = to_ns(desk.clock.now()) // desk.corridor.nonce_unit_ns
        return desk.ledger.next_nonce(desk.reads.signer_id, floor=floor)

    def attempt(self, prepared: PreparedSend, what: str) -> ProbeAttempt:
        """Return the record that must be durable before a probe is sent."""
        return ProbeAttempt(
            venue=self.desk.corridor.venue,
            reviewer=self.reviewer,
            what=what,
            url=prepared.url,
            body_text=prepared.body_text,
            body_sha256=prepared.body_sha256,
        )

    def burn(self, nonce: int, what: str, *, assumption: str, expected: str) -> None:
        """Send the noop of a nonce and keep what it proves."""
        prepared = self.effects.prepare_burn(self.effects.sign_noop(self.plan, nonce=nonce))
        record = self.desk.append(self.writer, self.attempt(prepared, what), actor=self.reviewer)
        self.desk.progress(f"certify: {what}")
        answer: BurnAnswer = self.effects.burn(prepared, self.writer.receipt(record))
        self.keep(assumption, what, expected=expected, answered=answer.nonce_was, errors=answer.errors)

    def order(self, nonce: int, what: str, *, assumption: str, expected: str, lives: timedelta) -> None:
        """Send an order that can not trade and keep how it was judged."""
        venue_at = self.desk.reads.read_time().venue_at
        expires_at = (venue_at + lives).replace(microsecond=0)
        signed = self.effects.sign_order(self.plan, nonce=nonce, expires_at=expires_at)
        prepared = self.effects.prepare_submit_signed(signed)
        record = self.desk.append(self.writer, self.attempt(prepared, what), actor=self.reviewer)
        self.desk.progress(f"certify: {what}")
        answer: SubmitAnswer = self.effects.submit(prepared, self.writer.receipt(record))
        self.keep(assumption, what, expected=expected, answered=answer.rule, errors=answer.errors)

    def keep(self, assumption: str, what: str, *, expected: str, answered: str, errors: tuple[str, ...] = ()) -> None:
        """Keep one probe."""
        told = f"{answered}: {'; '.join(errors)}" if errors else answered
        self.probes.append(
            Probe(assumption=assumption, what=what, expected=expected, answered=told, holds=answered == expected)
        )


def run(desk: Desk, request: Request) -> Result:
    """Make every probe once and record the answers.

    Raises:
        Denied: the environment is live, or a name, a confirmation, an account or a key is missing. Nothing was sent.
        Unreadable: the venue could not be read. What was sent by then stands in the outdir.
    """
    reviewer = _confirmed(desk, request)
    desk.serve(account=request.account, signer=request.signer, key_source=key_source_of(request))
    reads = desk.reads
    with outdir_session(desk, request.outdir) as writer:
        plan = _harmless_plan(desk, read_outlook(desk, reads.parse_symbol(request.symbol)))
        bench = _Bench(desk, writer, desk.side.effects(), plan, reviewer)
        with desk.turns.turn(reads.signer_id):
            for probe in _PROBES:
                probe(bench)
        return _record(desk, bench)


def _confirmed(desk: Desk, request: Request) -> str:
    if desk.environment == "live":
        message = "Assumptions are tried where no money is at stake: on the trial network, or in rehearsal."
        raise Denied(message, code="certify_live", measured="live", limit="testnet or rehearsal")
    if desk.corridor.begins_with != "sign":
        message = f"The {desk.corridor.venue} corridor has no assumption that can be tried this way."
        raise Denied(message, code="certify_nothing", measured=desk.corridor.venue, limit="a corridor that signs")
    reviewer = required_text(
        request.reviewer, code="reviewer_required", message="Say who certifies: a reviewer is needed."
    )
    if not request.confirm:
        message = "Certifying sends real requests: it needs the confirm flag. Nothing was sent."
        raise Denied(message, code="confirm_required", measured="missing", limit="given")
    return reviewer


def _harmless_plan(desk: Desk, outlook: Outlook) -> Plan:
    """Return a plan that buys at once or never, at a price so low that nobody sells."""
    instrument = outlook.instrument
    price = instrument.price_toward_safety(outlook.quote.bid * PROBE_PRICE_FACTOR, buying=True)
    size = instrument.nearest_sizes(PROBE_NOTIONAL_QUOTE / price)[1]
    intent = OrderIntent(
        symbol=instrument.symbol,
        side="buy",
        size_base=size,
        notional_quote=size * price,
        account_label=desk.side.account or "",
        limit_price=price,
        time_in_force="ioc",
    )
    terms = Terms(
        order_type="limit",
        limit_price=price,
        worst_price=price,
        time_in_force="ioc",
        reference=outlook.quote.ask,
    )
    intent_id = mint_intent_id(desk.entropy)
    session_id = session_id_of(intent_id, minted_at=desk.clock.now(), label="certify")
    return plan_of(desk, intent, terms, outlook, promotion=Promotion(source="none"), identity=(intent_id, session_id))


def _unused_nonce(bench: _Bench) -> None:
    nonce = bench.next_nonce()
    bench.burn(nonce, "burn a nonce that was never used", assumption="H3", expected="unused")
    bench.burn(nonce, "burn the same nonce again", assumption="H2", expected="used")


def _expired_order(bench: _Bench) -> None:
    nonce = bench.next_nonce()
    bench.order(
        nonce,
        "send an order that ran out a minute ago",
        assumption="H1",
        expected="already_expired",
        lives=-PROBE_LIFETIME,
    )
    bench.burn(nonce, "burn the nonce of the order that had run out", assumption="H2", expected="used")
    _look_for(bench, "look for the order that had run out")


def _refused_order(bench: _Bench) -> None:
    nonce = bench.next_nonce()
    bench.order(
        nonce,
        "send an order at a price that nobody takes",
        assumption="H7",
        expected="no_match",
        lives=PROBE_LIFETIME,
    )
    bench.burn(nonce, "burn the nonce of the order that was refused", assumption="H3", expected="used")


def _look_for(bench: _Bench, what: str) -> None:
    cloid = bench.plan.client_order_id
    try:
        open_orders = bench.desk.reads.read_open_orders(client_order_id=cloid)
        answered = "found" if open_orders else "absent"
    except VenueReadFailed as failure:
        answered = f"unreadable: {failure.message}"
    bench.keep("H1", what, expected="absent", answered=answered)


_PROBES: Final[tuple[Callable[[_Bench], None], ...]] = (_unused_nonce, _expired_order, _refused_order)


def _record(desk: Desk, bench: _Bench) -> Result:
    failed = tuple(one for one in bench.probes if not one.holds)
    record = desk.append(
        bench.writer,
        CertificationBody(
            venue=desk.corridor.venue,
            passed=not failed,
            reviewer=bench.reviewer,
            probes=tuple(bench.probes),
            exchanges=desk.take_exchanges(),
        ),
        actor=bench.reviewer,
    )
    desk.ledger.put_certification(
        Certification(
            venue=desk.corridor.venue,
            environment=desk.environment,
            record_sha256=record.sha256,
            folder=str(bench.writer.session.folder.absolute()),
            passed=not failed,
            certified_at=desk.now_text(),
        )
    )
    return desk.result(
        "done" if not failed else "denied",
        "Every assumption held that was tried." if not failed else "An assumption did not hold: do not send live.",
        data=record.body,
        refusals=tuple(
            Refusal(
                code="assumption_broken",
                message=f"{one.assumption} does not hold: {one.what}.",
                measured=one.answered,
                limit=one.expected,
            )
            for one in failed
        ),
        table=(
            ("assumption", "what was tried", "expected", "answered", "holds"),
            *(
                (one.assumption, one.what, one.expected, one.answered, "yes" if one.holds else "NO")
                for one in bench.probes
            ),
        ),
        artifacts=artifact_paths(bench.writer.session, record),
        next_hint=NextStep(why="see what is set up for the corridor", verb="evidence readiness"),
    )
