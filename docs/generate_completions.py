"""Writes the completion scripts of the three commands below docs/share/.

    python docs/generate_completions.py [DIRECTORY]

`supervisectl` and `runtime` print their own; that of `supervise` is made here, from the usage it
prints, because PID 1 has better things to carry.  A test fails when a script is stale.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.cli import completion as of_runtime
from supervise.cli import completion as of_supervisectl
from supervise.daemon.options import USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARE = Path(__file__).resolve().parent / "share"
PLACES = {  # shell → where its scripts are looked for, and what they are called
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}


class Option(NamedTuple):
    """An option in the usage."""

    spellings: tuple[str, ...]
    metavar: str
    help: str


def verbs() -> dict[str, str]:
    """Return verb → what it does, from the usage of `supervise`."""
    found = re.findall(r"^  supervise ([a-z-]+) (?:\[FILE\]\.\.\.)? +(.*)$", USAGE, re.MULTILINE)
    return {name: text.removesuffix(".").strip() for name, text in found}


def options() -> list[Option]:
    """Return the options in the usage of `supervise`."""
    rows = re.findall(r"^  (-[^ ,]+(?:, --[^ ]+)?)(?: ([A-Z:]+))? +(.*)$", USAGE, re.MULTILINE)
    return [Option(tuple(words.split(", ")), value, text) for words, value, text in rows]


def bash() -> str:
    """Return the script of `supervise` for bash."""
    words = [*verbs(), *(word for option in options() for word in option.spellings[-1:]), "--"]
    takers = [o for o in options() if o.metavar]
    others = "|".join(word for o in takers if o.metavar != "FILE" for word in o.spellings)
    files = "|".join(word for o in takers if o.metavar == "FILE" for word in o.spellings)
    return f"""\
# supervise completion for bash
_supervise() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${{COMP_WORDS[i]}} == -- ]]; then  # the main command, with completions of its own
      if ((COMP_CWORD == i + 1)); then
        COMPREPLY=($(compgen -c -- "$current"))
      elif declare -F _command_offset >/dev/null; then
        _command_offset $((i + 1))
      else
        COMPREPLY=($(compgen -f -- "$current"))
      fi
      return
    fi
  done
  case $previous in
    {files}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    {others}) return ;;
  esac
  case ${{COMP_WORDS[1]}} in
    {"|".join(name for name in verbs() if name != "schema")})
      if ((COMP_CWORD > 1)); then
        COMPREPLY=($(compgen -f -- "$current"))
        return
      fi ;;
  esac
  COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current"))
}}
complete -o filenames -F _supervise supervise
"""


def zsh() -> str:
    """Return the script of `supervise` for zsh."""
    lines = ["#compdef supervise", "_supervise() {", "  local -a verbs", "  verbs=("]
    lines += [f"    {_quoted(f'{name}:{text}')}" for name, text in verbs().items()]
    lines += ["  )", "  if (( CURRENT > 2 )) && [[ -n ${verbs[(r)${words[2]}:*]} ]]; then"]
    lines += ["    _files", "    return", "  fi", "  _arguments \\"]
    for option in options():
        value = f":{option.metavar.replace(':', ' ')}:" if option.metavar else ""
        value += "_files" if option.metavar == "FILE" else ""
        text = option.help.replace("[", "(").replace("]", ")")
        for word in option.spellings:
            repeated = "*" if "repeatable" in text else ""
            lines.append(f"    {_quoted(f'{repeated}{word}[{text}]{value}')} \\")
    return "\n".join([
        *lines,
        "    '(-)--[the main command]:*::command:_normal' \\",
        "    '1:verb:{_describe verb verbs}'",
        "}",
        'if [[ $funcstack[1] == _supervise ]]; then _supervise "$@"',
        "else compdef _supervise supervise; fi",
    ]) + "\n"  # fmt: skip


def fish() -> str:
    """Return the script of `supervise` for fish."""
    lines = ["# supervise completion for fish", "complete -c supervise -f"]
    for name, text in verbs().items():
        lines.append(
            f"complete -c supervise -n __fish_use_subcommand -a {name} -d {_fish_quoted(text)}"
        )
    files = " ".join(name for name in verbs() if name != "schema")
    lines.append(f"complete -c supervise -n '__fish_seen_subcommand_from {files}' -F")
    for option in options():
        words = [f"-l {option.spellings[-1].lstrip('-')}"]
        if len(option.spellings) > 1:
            words.append(f"-s {option.spellings[0].lstrip('-')}")
        if option.metavar:
            words.append("-r -F" if option.metavar == "FILE" else "-x")
        lines.append(f"complete -c supervise {' '.join(words)} -d {_fish_quoted(option.help)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def scripts() -> dict[str, str]:
    """Return path below docs/share/ → text, for every command and shell."""
    ours = {"bash": bash, "zsh": zsh, "fish": fish}
    clients = {
        "bash": of_supervisectl.bash,
        "zsh": of_supervisectl.zsh,
        "fish": of_supervisectl.fish,
    }
    found = {}
    for shell, place in PLACES.items():
        found[place.format("supervise")] = ours[shell]()
        found[place.format("supervisectl")] = "\n".join(clients[shell]()) + "\n"
        found[place.format("runtime")] = of_runtime.SCRIPTS[shell]
    return found


def main(words: Sequence[str]) -> None:
    """Write the scripts below the directory in *words*."""
    share = Path(words[0]) if words else SHARE
    for place, text in scripts().items():
        path = share / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
