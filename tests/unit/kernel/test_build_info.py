"""The producer that records name."""

import subprocess
import sys

from quantlab.kernel import build_info


def test_checkout_has_no_commit():
    """In a checkout code and commit need not agree, so no commit is claimed."""
    assert build_info.COMMIT is None
    assert build_info.VERSION == "0.1.0"


def test_commit_is_read_beside_the_module(tmp_path):
    """A build's note is the commit; an empty note is none."""
    note = tmp_path / "_commit.txt"
    note.write_text("0123abcd\n")
    assert build_info._read_commit(str(tmp_path / "build_info.py")) == "0123abcd"
    note.write_text("\n")
    assert build_info._read_commit(str(tmp_path / "build_info.py")) is None


def test_import_is_light():
    """Knowing the version loads no metadata reader and no path library."""
    heavy = "{'importlib.metadata', 'pathlib', 'msgspec'} & set(sys.modules)"
    program = f"import sys, quantlab.kernel.build_info; print(sorted({heavy}))"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, env={})
    assert done.stdout == "[]\n"
