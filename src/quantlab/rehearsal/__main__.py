"""`python -m quantlab.rehearsal`: serve the exchange without the rest of the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from quantlab.rehearsal.server import EXIT_USAGE, ServeOptions, serve

USAGE = (
    "usage: python -m quantlab.rehearsal [--state DIR] [--seed N] [--faults FILE]"
    " [--kraken-port N] [--hyperliquid-port N] [--control-port N] [--tls]\n"
)


def read_options(arguments: list[str]) -> ServeOptions | None:
    """Read the options of `rehearsal serve`; None when they make no sense."""
    given: dict[str, object] = {}
    words = iter(arguments)
    for word in words:
        name = word.removeprefix("--").replace("-", "_")
        if name == "tls":
            given[name] = True
        elif word.startswith("--"):
            given[name] = next(words, None)
        else:
            return None
    known = set(ServeOptions.__struct_fields__)
    if not set(given) <= known or None in given.values():
        return None
    folders = {name: Path(str(given[name])) for name in ("state", "faults") if name in given}
    try:
        numbers = {n: int(str(v)) for n, v in given.items() if n not in ("state", "faults", "tls")}
        return msgspec.structs.replace(ServeOptions(tls="tls" in given), **folders, **numbers)
    except ValueError:
        return None


def main(arguments: list[str]) -> int:
    """Read the options and serve; returns the exit code."""
    options = read_options(arguments)
    if options is None:
        sys.stderr.write(USAGE)
        return EXIT_USAGE
    return serve(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
