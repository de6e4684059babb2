#!/usr/bin/env python3
"""Write LINES numbered lines as fast as can be, in writes that end anywhere in a line.

usage: chatter.py NAME LINES [SIZE]    each line: NAME, number, and padding of varying length
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    name, count = sys.argv[1], int(sys.argv[2])
    size = int(sys.argv[3]) if len(sys.argv) > 3 else 5003
    lines = [f"{name} {number} {'x' * (number % 83)}\n" for number in range(count)]
    view = memoryview("".join(lines).encode())
    while view:
        view = view[os.write(1, view[:size]) :]


main()
