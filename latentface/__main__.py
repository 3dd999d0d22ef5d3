"""`python -m latentface` is the command `latentface`."""

from __future__ import annotations

from latentface.cli import main

if __name__ == "__main__":
    main()
