"""One HTTP exchange: sent at most once, timed, bounded, redacted, and kept on the tape.

Nothing here retries or follows a redirect, and nothing the network does is raised: an exchange says how
far it got and what went wrong, and the caller decides what that means. What can move money leaves only
with the receipt of a durable attempt record of exactly its bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from quantlab.kernel.clock import Clock, rfc3339
from quantlab.kernel.errors import QuantLabFault
from quantlab.model.execution import AttemptReceipt, Reached, WireExchange
from quantlab.venues.exchange import HttpAnswer, HttpRequest, HttpRun, Limits
from quantlab.venues.redaction import Redactor
from quantlab.venues.sockets import Connector, endpoint_of
from quantlab.venues.tape import Tape

__all__ = ["AttemptMissing", "HttpAnswer", "HttpRequest", "Limits", "NeedsAttempt", "Transport"]

DEFAULT_USER_AGENT: Final = "quantlab"

NeedsAttempt = Callable[[str, bytes], bool]
"""A venue's rule: can a request with this path and body place, change or cancel an order?"""


class AttemptMissing(QuantLabFault):
    """A request that can move money came without the receipt of its attempt. A bug; nothing was sent."""


class Transport:
    """Speaks HTTP over the connection port, one connection an exchange.

    Args:
        connector: Opens connections; a simulator brings its own.
        clock: Times each exchange and bounds it.
        redactor: Knows the secrets; the venue's credentials add theirs to it.
        needs_attempt: The venue's rule for what can move money.
        tape: Where exchanges are kept until a record takes them.
        limits: Bounds of time and size.
    """

    def __init__(
        self,
        *,
        connector: Connector,
        clock: Clock,
        redactor: Redactor,
        needs_attempt: NeedsAttempt,
        tape: Tape | None = None,
        limits: Limits | None = None,
        user_agent: str = DEFAULT_USER_AGENT,
    ) -> None:
        self._connector = connector
        self._clock = clock
        self._redactor = redactor
        self._needs_attempt = needs_attempt
        self._limits = limits or Limits()
        self._user_agent = user_agent
        self._spent: set[tuple[str, int]] = set()
        self.tape = tape or Tape()

    def exchange(self, request: HttpRequest, *, receipt: AttemptReceipt | None = None) -> HttpAnswer:
        """Send ``request`` once and return what came back, also when nothing did.

        Args:
            request: What to send.
            receipt: Proof of the durable attempt record, for a request that can move money.

        Raises:
            AttemptMissing: the request can move money and no fitting, unused receipt was given. Nothing
                was sent.
            BadEndpoint: the URL is no venue address. Nothing was sent.

        Side effects: appends the exchange, redacted, to the tape.
        """
        endpoint = endpoint_of(request.url)
        self._guard(request, receipt)
        run = HttpRun(request, endpoint, clock=self._clock, limits=self._limits)
        started_at, started_ns = self._clock.now(), self._clock.monotonic_ns()
        try:
            run.perform(self._connector, user_agent=self._user_agent)
        finally:
            # Also when the operator interrupts: how far it got is evidence.
            self._redactor.add_json_fields(run.body, request.secret_answer_fields)
            duration_us = (self._clock.monotonic_ns() - started_ns) // 1000
            exchange = self._record(run, rfc3339(started_at), duration_us)
            self.tape.add(exchange)
        return HttpAnswer(exchange=exchange, body=run.body)

    def keep_message(
        self,
        *,
        purpose: str,
        url: str,
        sent: str,
        received: str | None,
        reached: Reached,
        fault: str | None,
        started_at: datetime,
        started_ns: int,
    ) -> WireExchange:
        """Keep one question over a stream and what answered it, as evidence beside the exchanges over HTTP.

        Args:
            purpose: What it was for, as of a request.
            url: The stream.
            sent: The text of our message, also where it never left.
            received: The text of the message that answered it.
            reached: How far it got.
            fault: What went wrong.
            started_at: When it began, by the clock's wall time.
            started_ns: The same on the clock's monotonic time.

        Side effects: appends the exchange, redacted, to the tape. Its method is ``WS``; it has no headers and no
        status.
        """
        text, _, sent_sha256 = _kept(sent.encode("utf-8"), self._redactor)
        answer, _, answer_sha256 = _kept((received or "").encode("utf-8"), self._redactor)
        exchange = WireExchange(
            purpose=purpose,
            method="WS",
            url=self._redactor.redact(url),
            request_headers=(),
            request_body=text,
            request_body_sha256=sent_sha256,
            reached=reached,
            status=None,
            response_headers=(),
            response_body=None if received is None else answer,
            response_body_base64=None,
            response_body_sha256=None if received is None else answer_sha256,
            fault=None if fault is None else self._redactor.redact(fault),
            started_at=rfc3339(started_at),
            ended_at=rfc3339(self._clock.now()),
            duration_us=(self._clock.monotonic_ns() - started_ns) // 1000,
        )
        self.tape.add(exchange)
        return exchange

    def _guard(self, request: HttpRequest, receipt: AttemptReceipt | None) -> None:
        if not self._needs_attempt(urlsplit(request.url).path, request.body):
            return
        if receipt is None:
            message = f"{request.purpose} can move money and has no attempt record; nothing was sent"
            raise AttemptMissing(message, code="transport.no_attempt")
        if receipt.body_sha256 != hashlib.sha256(request.body).hexdigest():
            message = f"the attempt record of {request.purpose} is of other bytes; nothing was sent"
            raise AttemptMissing(message, code="transport.other_attempt")
        key = (receipt.session_id, receipt.sequence)
        if key in self._spent:
            message = f"the attempt record of {request.purpose} was used before; nothing was sent"
            raise AttemptMissing(message, code="transport.spent_attempt")
        self._spent.add(key)

    def _record(self, run: HttpRun, started_at: str, duration_us: int) -> WireExchange:
        """Return the evidence of an exchange.

        Digests are of the bodies as kept: redacted, content coding undone.
        """
        request = run.request
        redactor = self._redactor.with_header_secrets(request.headers)
        request_text, _, request_sha256 = _kept(request.body, redactor)
        text, encoded, answer_sha256 = _kept(run.body, redactor)
        fault = run.fault if run.ended else "interrupted"
        return WireExchange(
            purpose=request.purpose,
            method=request.method,
            url=redactor.redact(request.url),
            request_headers=redactor.redact_headers(run.request_headers),
            request_body=request_text,
            request_body_sha256=request_sha256,
            reached=run.reached,
            status=run.status,
            response_headers=redactor.redact_headers(run.response_headers),
            response_body=text if run.status is not None else None,
            response_body_base64=encoded,
            response_body_sha256=answer_sha256 if run.status is not None else None,
            fault=None if fault is None else redactor.redact(fault),
            started_at=started_at,
            ended_at=rfc3339(self._clock.now()),
            duration_us=duration_us,
        )


def _kept(body: bytes, redactor: Redactor) -> tuple[str | None, str | None, str]:
    """Return a body as UTF-8 text or else as base64, redacted, and the SHA-256 of the bytes kept."""
    kept = redactor.redact_bytes(body)
    digest = hashlib.sha256(kept).hexdigest()
    try:
        return kept.decode("utf-8"), None, digest
    except UnicodeDecodeError:
        return None, base64.b64encode(kept).decode("ascii"), digest
