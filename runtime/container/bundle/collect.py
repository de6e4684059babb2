"""Runs in the interpreter that is to be bundled: which modules does `supervise` need?

Called by `runtime.container.bundle.assemble` as a program: argv is a JSON list of directories to
look in, and one of module names to import.  Prints JSON: the files of all modules that are then
there, and the names that are not to be had.
"""

from __future__ import annotations

import importlib
import json
import sys

# Codecs are found by name when they are first used.
_CODECS = ("utf_8", "utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "ascii", "latin_1")
_ALWAYS = (*(f"encodings.{name}" for name in _CODECS), "runpy", "site", "warnings")


def main() -> None:
    """Import, list, print."""
    directories, names = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    sys.path += [directory for directory in directories if directory not in sys.path]
    before = set(sys.modules)
    missing = []
    for name in (*_ALWAYS, *names):
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    found = {}
    for name, module in sorted(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        path = getattr(module, "__file__", None) or getattr(spec, "origin", None)
        if name in ("__main__", "__mp_main__") or not path or path in ("built-in", "frozen"):
            path = _source_of_frozen(name)
        if path and spec is not None:
            package = getattr(module, "__path__", None) is not None
            found[name] = {"path": path, "package": package, "early": name in before}
    json.dump({"modules": found, "missing": missing, "prefix": sys.base_prefix}, sys.stdout)


def _source_of_frozen(name: str) -> str | None:
    """Return the file of a module that came frozen: os is one, and getpath looks for its file."""
    import importlib.machinery

    found = importlib.machinery.PathFinder.find_spec(name.partition(".")[0])
    if found is None or not found.origin or "." in name:
        return None
    return found.origin


if __name__ == "__main__":
    main()
