"""Auth preflight: does the key work, whose is it, and what may it do. Reads only.

Needs: credentials. Makes: ``kraken_auth_preflight``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantlab.kernel.result import Result
from quantlab.rungs.account_look import look_at_account, write_account
from quantlab.rungs.desk import Desk


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Where to write."""

    outdir: Path


def run(desk: Desk, request: Request) -> Result:
    """Check the key and write what was found, also when it is not fit.

    Raises:
        Denied: no environment or credentials.
    """
    look = look_at_account(desk, funds=False)
    return write_account(desk, request.outdir, look, name="kraken_auth_preflight", schema="quantlab.auth_preflight/1")
