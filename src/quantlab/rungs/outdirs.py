"""Outdirs: folders given by the operator that hold one kind of preparatory evidence, chained like a session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from quantlab.evidence.chain import UNSET_ENVIRONMENT
from quantlab.kernel.ids import mint_intent_id, session_id_of
from quantlab.rungs.desk import Desk, unverified
from quantlab.storage.writer import SessionWriter


@contextlib.contextmanager
def outdir_session(desk: Desk, outdir: Path) -> Iterator[SessionWriter]:
    """Open an outdir for one more record; a new run appends.

    Raises:
        Denied: it belongs to another environment.
        Unverified: what stands in it does not verify.
        StorageFault: it can not be written.
    """
    session_id = session_id_of(mint_intent_id(desk.entropy), minted_at=desk.clock.now(), label=outdir.name)
    environment = desk.settings.environment or UNSET_ENVIRONMENT
    with desk.store.create_outdir(outdir, session_id=session_id, environment=environment) as writer:
        if not writer.session.verifies:
            raise unverified(writer.session)
        if writer.session.stale_views:
            writer.refresh_views()
        yield writer
