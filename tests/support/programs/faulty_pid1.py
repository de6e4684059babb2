#!/usr/bin/env python3
"""faulty_pid1.py MODULE:CLASS.METHOD:NTH … --faults-end ARGUMENTS: `supervise` with a bug in it.

The method raises RuntimeError("injected fault") on its NTH call, counted from 1, once; NTH may be
a range such as ``2-5``.  Everything else is the real program.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))


def break_method(where: str) -> None:
    """Replace the method named by *where* with one that raises at the calls it says."""
    module, path, calls = where.split(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    first, _, last = calls.partition("-")
    setattr(owner, name, _faulty(getattr(owner, name), int(first), int(last or first)))


def _faulty(method: Callable[..., Any], first: int, last: int) -> Callable[..., Any]:
    count = 0

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if first <= count <= last:
            raise RuntimeError("injected fault")
        return method(*args, **kwargs)

    return wrapper


def main() -> int:
    """Break what is to be broken and run `supervise`."""
    end = sys.argv.index("--faults-end")
    faults, sys.argv[1:] = sys.argv[1:end], sys.argv[end + 1 :]
    for where in faults:
        break_method(where)
    entry = importlib.import_module("supervise.__main__")
    code: int = entry.main()
    return code


if __name__ == "__main__":
    sys.exit(main())
