"""`make quick` runs the tests of what changed."""

from tools.changed_tests import ROOT, read_changes, select_tests

EXISTING = {
    "tests/arch",
    "tests/e2e",
    "tests/e2e/test_submit.py",
    "tests/tools",
    "tests/unit/rungs",
    "tests/unit/test_config.py",
}


def test_nothing_changed_leaves_the_house_rules():
    """The house rules always run."""
    assert select_tests([], EXISTING) == ["tests/arch"]


def test_each_kind_of_change_selects_its_tests():
    """A module selects its room, a test file itself, a conftest its folder."""
    changed = [
        "README.md",
        "src/quantlab/config.py",
        "src/quantlab/rungs/submit.py",
        "src/quantlab/venues/port.py",
        "tests/e2e/conftest.py",
        "tests/e2e/test_submit.py",
        "tests/gone/test_removed.py",
        "tools/check_locks.py",
    ]
    expected = sorted(EXISTING)
    assert expected == select_tests(changed, EXISTING)


def test_changes_are_paths_of_the_checkout():
    """What git lists stands relative to the checkout's root."""
    assert all(not name.startswith(("/", "..")) for name in read_changes(ROOT))
