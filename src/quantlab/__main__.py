"""`python -m quantlab`: the same as the console script."""

from quantlab.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
