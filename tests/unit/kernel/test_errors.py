"""Outcomes, exit codes and the faults that carry them."""

from typing import get_args

import pytest

from quantlab.kernel import errors
from quantlab.kernel.result import NextStep, Refusal


def test_every_outcome_has_its_exit_code():
    """The table of exit codes is the fixed one and leaves no outcome out."""
    assert set(get_args(errors.Outcome)) == set(errors.EXIT_CODES)
    assert (0, 1, 2, 3, 4, 5, 6, 7, 7, 130, 70) == tuple(
        errors.EXIT_CODES[name]
        for name in (
            *("done", "denied", "usage", "rejected", "unknown", "unverified", "busy", "never_sent", "unreadable"),
            *("interrupted", "bug"),
        )
    )


@pytest.mark.parametrize(
    ("fault", "exit_code"),
    [
        (errors.UsageFault, 2),
        (errors.Denied, 1),
        (errors.StorageFault, 1),
        (errors.Unverified, 5),
        (errors.Busy, 6),
        (errors.Unreadable, 7),
        (errors.QuantLabFault, 70),
    ],
)
def test_a_fault_says_everything(fault, exit_code):
    """A fault carries message, code, measured value, limit, next command and session, and its own exit code."""
    step = NextStep(why="look", verb="show", arguments=("folder",))
    one = fault("No.", code="c", measured="2", limit="1", next_step=step, session_id="s")
    assert exit_code == errors.EXIT_CODES[one.outcome]
    assert (Refusal(code="c", message="No.", measured="2", limit="1"),) == one.refusals
    assert ("No.", "No.", "c", step, "s") == (str(one), one.message, one.code, one.next_step, one.session_id)
