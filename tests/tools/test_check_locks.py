"""The lock check passes here and reports each way in which a lock can be wrong."""

import pytest

from tools import check_locks

PROJECT = """
build-system.requires = ["hatchling>=1"]
[project]
dependencies = ["Msg_Spec>=0.20"]
[dependency-groups]
build = ["hatchling>=1"]
dev = ["pytest>=9"]
"""
HASH = " \\\n    --hash=sha256:00\n"
CORE = f"hatchling==1.2{HASH}msg-spec==0.22.0{HASH}"
DEVELOPMENT = f"{CORE}pytest==9.1 ; sys_platform == 'linux'{HASH}"


def judge(root, core=CORE, development=DEVELOPMENT):
    """Return what the check says about two lock texts."""
    (root / "requirements").mkdir()
    (root / "pyproject.toml").write_text(PROJECT)
    (root / check_locks.CORE).write_text(core)
    (root / check_locks.DEVELOPMENT).write_text(development)
    return check_locks.check_locks(root)


def test_committed_locks_fit():
    """The locks of this checkout fit its pyproject.toml."""
    assert check_locks.check_locks(check_locks.ROOT) == []


def test_fitting_locks_pass(tmp_path):
    """Names are compared in their normal form, markers are allowed."""
    assert judge(tmp_path) == []


@pytest.mark.parametrize(
    ("core", "development", "expected"),
    [
        (f"hatchling==1.2{HASH}", DEVELOPMENT, "core.lock: Msg_Spec is not pinned"),
        (CORE.replace("0.22", "0.19"), DEVELOPMENT, "core.lock: Msg_Spec 0.19.0 does not fit"),
        (CORE, CORE, "dev.lock: pytest is not pinned"),
        (CORE, DEVELOPMENT.replace("1.2", "1.3"), "dev.lock: hatchling is not 1.2 as in"),
        (f"--index-url https://example.org\n{CORE}", DEVELOPMENT, "core.lock:1: holds an address"),
        (f"{CORE}h11>=1{HASH}", DEVELOPMENT, "core.lock:5: is not a pin"),
        (f"{CORE}h11==1.0\n", f"{DEVELOPMENT}h11==1.0{HASH}", "core.lock: h11==1.0 has no hash"),
    ],
)
def test_wrong_locks_are_reported(core, development, expected, tmp_path):
    """Each fault is named with its file."""
    assert any(expected in line for line in judge(tmp_path, core, development))
