"""Find code that no code uses: vulture, and the names it cannot see the use of.

`make lint` runs it.  A name that is reported is dead: remove it.  When it is used in a way that
vulture cannot see, say so here: as a rule where the names follow one, else in `ALLOWED`.  Tests
are not looked at, so what only a test uses is reported too.
"""

from __future__ import annotations

import subprocess
import sys

from runtime.cli import verbs
from tests.support.source_tree import ROOT

FOLDERS = ("supervise", "runtime", "benchmarks", "docs")
DECORATORS = ("@_on*",)  # rows of `supervise.model.lifecycle`'s table
RULES = (
    *("MS_*", "MNT_*", "CLONE_*", "RESOLVE_*"),  # families of the kernel's constants, kept whole
    "_is_*",  # methods of `supervise.daemon.control.expectations`, by the milestone's name
)
_CLEAN, _DEAD_CODE = 0, 3  # vulture's exit codes

# Name → who uses it.
ALLOWED = {
    "author": "the JSON of an image's configuration and history",
    "helper_pids": "tests, to find the compressor's process",
    "http_open": "urllib.request calls a handler's methods by name",
    "https_open": "the same",
    "http_error_301": "the same",
    "http_error_303": "the same",
    "http_error_307": "the same",
    "http_error_308": "the same",
    "legacy": "the values that tests compare with another parser's",
    "linkname": "tarfile",
    "object_hook": "_json's scanner, as the other options of a decoder here",
    "object_pairs_hook": "the same",
    "parse_constant": "the same",
    "parse_float": "the same",
    "parse_int": "the same",
    "strict": "the same",
    "paddr": "ELF's program headers, unpacked by position",
    "read_files": "tests, to count the files that were read again",
    "_read_and_discard_trailer": "http.client calls it",
    "response_class": "http.client",
    "ConnectionCls": "urllib3's pools",
    "pool_classes_by_scheme": "urllib3's manager",
    "ReaderError": "PyYAML's parser, from the module it is told to import",
    "unchanged": "the protocol's word, as a field of a reply",
    "use": "tests, to choose between PyYAML's two parsers",
    # Dead: these are to be removed, and this part of the list with them.
    "KINDS": "runtime.linux.namespaces",
    "monitor_started": "runtime.model.container.state",
    "open_tree": "runtime.linux.mounts",
}


def verbs_of_runtime() -> set[str]:
    """Return the functions and tables of runtime's verbs: `runtime.cli.verbs.find` loads them."""
    return {name for _, *names in verbs.INDEX.values() for name in names}


def main() -> int:
    """Print what is dead and which names `ALLOWED` needs no longer; return 1 if there is any."""
    command = [sys.executable, "-m", "vulture", "--ignore-decorators", ",".join(DECORATORS)]
    command += ["--ignore-names", ",".join((*RULES, *sorted(verbs_of_runtime()))), *FOLDERS]
    vulture = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if vulture.returncode not in (_CLEAN, _DEAD_CODE):
        print(vulture.stdout, vulture.stderr, sep="", file=sys.stderr)
        return vulture.returncode

    reported = {line: line.split("'")[1] for line in vulture.stdout.splitlines()}
    dead = [line for line, name in reported.items() if name not in ALLOWED]
    stale = sorted(set(ALLOWED) - set(reported.values()))
    for line in dead:
        print(line)
    for name in stale:
        print(f"tests/support/dead_code.py: '{name}' is used or gone; take it off ALLOWED")
    return 1 if dead or stale else 0


if __name__ == "__main__":
    sys.exit(main())
