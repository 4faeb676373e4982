"""Which build this is: the producer that records name.

`VERSION` is the one place where the version is written; the build reads it from here. `COMMIT` is
fixed when a wheel is built and None in a checkout, where code and commit need not agree.
"""

from typing import Final

VERSION: Final = "0.1.0"


def _read_commit(module_file: str) -> str | None:
    """Return the commit noted beside `module_file` by the build, or None."""
    try:
        # Plain open: pathlib alone would cost more than everything else that --version loads.
        with open(module_file.removesuffix("build_info.py") + "_commit.txt") as note:  # noqa: PTH123
            return note.read().strip() or None
    except OSError:
        return None


COMMIT: Final[str | None] = _read_commit(__file__)
