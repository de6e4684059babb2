"""`runtime --help` and the help of a group of verbs, from the verbs' own tables."""

from __future__ import annotations

from runtime.cli import verbs

_COMMON = ("run", "exec", "ps", "images", "logs", "stop", "rm", "inspect", "cp")
_GLOBAL = """Global Options:
  -D, --debug         Show where a failure comes from
      --root string   Where everything is kept (default /var/lib/runtime, $RUNTIME_ROOT)
  -v, --version       Print the version and quit"""


def whole() -> str:
    """Return the help of the command itself."""
    rest = [name for name in sorted(verbs.INDEX) if " " not in name and name not in _COMMON]
    groups = [(name, f"{what}: see runtime {name} --help") for name, what in verbs.GROUPS.items()]
    parts = [
        "Usage:  runtime [OPTIONS] COMMAND",
        "Containers and images without a daemon",
        "Common Commands:\n" + _lines([(name, _summary(name)) for name in _COMMON]),
        "Groups of Commands:\n" + _lines(groups),
        "Commands:\n" + _lines([(name, _summary(name)) for name in rest]),
        _GLOBAL,
        "Run 'runtime COMMAND --help' for more information on a command.",
    ]
    return "\n\n".join(parts) + "\n"


def group(name: str) -> str:
    """Return the help of one group, each verb once."""
    members: dict[verbs.Entry, str] = {}
    words = [verb.removeprefix(f"{name} ") for verb in verbs.INDEX if verb.startswith(f"{name} ")]
    for word in sorted(words, key=lambda word: (len(word), word)):
        members.setdefault(verbs.INDEX[f"{name} {word}"], word)
    lines = [(word, _summary(f"{name} {word}")) for word in sorted(members.values())]
    parts = [
        f"Usage:  runtime {name} COMMAND",
        verbs.GROUPS[name],
        "Commands:\n" + _lines(lines),
        f"Run 'runtime {name} COMMAND --help' for more information on a command.",
    ]
    return "\n\n".join(parts) + "\n"


def _summary(name: str) -> str:
    return verbs.find(name)[0].summary


def _lines(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:{width}}  {text}" for name, text in rows)
