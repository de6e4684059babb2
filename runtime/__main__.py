"""`python -m runtime`: the command, where its script is not on the PATH."""

from __future__ import annotations

from runtime.cli.main import program

if __name__ == "__main__":
    program()
