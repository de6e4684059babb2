"""`completion`: scripts for bash, zsh and fish, and the answers they ask for.

The scripts know nothing: with each tab they run ``runtime completion candidates -- WORDS…``, where
the last of WORDS is the one that is being typed.  The answer is a line a candidate, ``word`` TAB
``description``, and the line ``:files`` where a file's name would do as well.
"""

from __future__ import annotations

import os
import re
import sys

from runtime.cli import verbs
from runtime.cli.containers import lookup
from runtime.language.commandline import Option, Verb
from runtime.model.errors import RuntimeFailure
from runtime.network.catalog import Catalog
from runtime.store.images import Images
from runtime.store.layout import Layout
from runtime.store.volumes import Volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.language.commandline import Arguments

    Candidate = tuple[str, str]  # word, description

COMPLETION = Verb(
    "completion",
    "bash|zsh|fish",
    "Print a completion script",
    least=1,
    stops=True,
    about="""
bash:  eval "$(runtime completion bash)"
zsh:   runtime completion zsh > "${fpath[1]}/_runtime"
fish:  runtime completion fish > ~/.config/fish/completions/runtime.fish
""",
)
FILES = ":files"
_BEFORE = (
    ("--root", "Where everything is kept"),
    ("--debug", "Show where a failure comes from"),
    ("--version", "Print the version and quit"),
    ("--help", "Show the commands"),
)
_CHOICES = {
    "allow": ("network.host", "host"),
    "pull": ("missing", "never", "always"),
    "restart": ("no", "always", "unless-stopped", "on-failure"),
    "userns": ("host", "mapped"),
    "progress": ("auto", "plain", "tty", "json"),
    "driver": ("bridge", "macvlan"),
    "security-opt": ("no-new-privileges", "seccomp=unconfined"),
}
_MODES = ("bridge", "host", "none")
_TAKES_FILES = (
    "file",
    "iidfile",
    "cidfile",
    "env-file",
    "label-file",
    "services",
    "input",
    "output",
)


def completion(layout: Layout, words: Arguments) -> int:
    """Print a script, or the candidates a script asks for."""
    asked = words.operands[0]
    if asked == "candidates":
        rest = list(words.operands[1:])
        if rest[:1] == ["--"]:
            del rest[0]
        for word, text in candidates(layout, rest or [""]):
            sys.stdout.write(f"{word}\t{text}\n" if text else f"{word}\n")
        return 0
    if asked not in SCRIPTS:
        raise RuntimeFailure(f"no completion for '{asked}'", "bash, zsh or fish", code=1)
    sys.stdout.write(SCRIPTS[asked])
    return 0


def candidates(layout: Layout, words: list[str]) -> Iterator[Candidate]:
    """Yield what the last of *words* may become."""
    *before, current = words
    while before and before[0].startswith("-"):
        option, equals, value = before.pop(0).partition("=")
        if option == "--root" and not equals:
            if not before:
                yield FILES, ""
                return
            value = before.pop(0)
        if value:
            layout = Layout(os.path.abspath(value), os.environ.get("RUNTIME_RUN", ""))
    if not before:
        yield from _beginning((*_BEFORE, *_verbs("")), current)
        return
    name = before.pop(0)
    if name in verbs.GROUPS:
        if not before:
            yield from _beginning(_verbs(f"{name} "), current)
            return
        name = f"{name} {before.pop(0)}"
    if name in verbs.INDEX:
        yield from _of_verb(layout, verbs.find(name)[0], before, current)


def _verbs(prefix: str) -> Iterator[Candidate]:
    if not prefix:
        yield from verbs.GROUPS.items()
    for name in verbs.INDEX:
        word = name.removeprefix(prefix)
        if name.startswith(prefix) and " " not in word:
            yield word, verbs.find(name)[0].summary


def _beginning(candidates_: Iterable[Candidate], current: str) -> Iterator[Candidate]:
    """Yield those that begin with *current*; options only once their dash is there."""
    for word, text in dict(candidates_).items():
        if word.startswith(current) and (current or not word.startswith("-")):
            yield word, text


def _of_verb(layout: Layout, verb: Verb, before: list[str], current: str) -> Iterator[Candidate]:
    """Yield what may stand behind *before*, which follows the verb."""
    options = verb.options()
    known = {f"--{o.name}": o for o in options} | {f"-{o.short}": o for o in options if o.short}
    known |= {f"--{o.also}": o for o in options if o.also}
    operands: list[str] = []
    waits: Option | None = None  # for its value
    ended = False  # no option can follow
    for word in before:
        if waits is not None:
            waits = None
        elif ended or not word.startswith("-") or word == "-":
            operands.append(word)
            ended = ended or verb.stops
        elif word == "--":
            ended = True
        elif "=" not in word:
            waits = _takes_value(known, word)
    if waits is not None:
        yield from _values(layout, waits, current, "")
    elif not ended and current.startswith("--") and "=" in current:
        spelling, _, value = current.partition("=")
        if spelling in known:
            yield from _values(layout, known[spelling], value, f"{spelling}=")
    elif not ended and current.startswith("-"):
        spelled = ((f"--{o.name}", " ".join(o.text)) for o in options)
        yield from _beginning((*spelled, ("--help", "Show this verb's options")), current)
    else:
        yield from _operand(layout, verb, operands, current)


def _takes_value(known: dict[str, Option], word: str) -> Option | None:
    """Return the option in *word* whose value is the next word: ``-itp`` waits for a port."""
    if word.startswith("--"):
        option = known.get(word)
        return option if option is not None and option.kind else None
    for place, letter in enumerate(word[1:], start=1):
        option = known.get(f"-{letter}")
        if option is not None and option.kind:
            return option if place == len(word) - 1 else None
    return None


def _values(layout: Layout, option: Option, current: str, prefix: str) -> Iterator[Candidate]:
    words: Iterable[str] = _CHOICES.get(option.name, ())
    if option.name == "network":
        words = (*_MODES, *_names(layout, "NETWORK"))
    elif option.name == "volume":
        words = _names(layout, "VOLUME")
    for word, _ in _beginning(((word, "") for word in words), current):
        yield prefix + word, ""
    if option.name in _TAKES_FILES:
        yield FILES, ""


def _operand(layout: Layout, verb: Verb, operands: list[str], current: str) -> Iterator[Candidate]:
    if verb.name == "ctl" and operands:
        return
    if verb.name == "completion":
        yield from _beginning(((name, "") for name in SCRIPTS), current)
        return
    if verb.name.endswith(" create"):
        return  # the name is new
    without_tags = re.sub(r"\[[:/@][^]]*\]", "", verb.operands)
    if verb.name in ("pull", "push"):
        without_tags = without_tags.replace("NAME", "IMAGE")
    shown = without_tags.replace("[", " ").replace("]", " ").split()
    place = len(operands)
    if place >= len(shown):
        place = len(shown) - 1
        if place < 0 or not verb.operands.rstrip("]").endswith("..."):
            return
    for kind in shown[place].removesuffix("...").split("|"):
        if kind in ("FILE", "PATH", "COMMAND", "ARG"):
            yield FILES, ""
        elif kind == "CONTAINER:PATH":
            yield from _beginning(((f"{n}:", "") for n in _names(layout, "CONTAINER")), current)
        elif place == 0 or kind != "NAME":
            yield from _beginning(((name, "") for name in _names(layout, kind)), current)


def _names(layout: Layout, kind: str) -> Iterator[str]:
    """Yield what there is of *kind*, in the words of the verbs' synopses.

    A store that cannot be read has no names: in the middle of a line there is nothing to say.
    """
    try:
        if kind in ("CONTAINER", "NAME"):
            yield from (spec.name for spec, _ in lookup.every(layout))
        if kind in ("IMAGE", "REPOSITORY", "NAME"):
            yield "host"
            yield from (name for image in Images(layout).list() for name in image.names)
        if kind in ("NETWORK", "NAME"):
            yield from (network.name for network in Catalog(layout).list())
        if kind in ("VOLUME", "NAME"):
            yield from (volume.name for volume in Volumes(layout).list())
    except (OSError, RuntimeFailure):
        return


_BASH = r"""# runtime completion for bash
_runtime() {
  local line=${COMP_LINE:0:COMP_POINT} word text files=
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  local current=${words[-1]}
  local cut=${current%"${current##*[:=]}"}  # readline takes what follows a : or = for a word
  COMPREPLY=()
  while IFS=$'	' read -r word text; do
    if [[ $word == :files ]]; then files=1; else COMPREPLY+=("${word#"$cut"}"); fi
  done < <("${words[0]}" completion candidates -- "${words[@]:1}" 2>/dev/null)
  [[ ${COMPREPLY[*]} == *: ]] && compopt -o nospace 2>/dev/null
  if [[ $files ]]; then
    ((${#COMPREPLY[@]})) || compopt -o filenames 2>/dev/null
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${current#"$cut"}")
  fi
}
complete -F _runtime runtime
"""

_ZSH = r"""#compdef runtime
_runtime() {
  local -a described
  local line word text files=
  for line in "${(@f)$(${words[1]} completion candidates -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    word=${line%%$'	'*}
    if [[ $word == :files ]]; then
      files=1
    elif [[ $line == *$'	'* ]]; then
      described+=("${word//:/\:}:${line#*$'	'}")
    elif [[ -n $word ]]; then
      described+=("${word//:/\:}")
    fi
  done
  (( $#described )) && _describe -t values value described
  [[ -n $files ]] && _files
}
# Sourced it registers itself; from a directory in fpath it is the function's body.
if [[ $funcstack[1] == _runtime ]]; then _runtime "$@"; else compdef _runtime runtime; fi
"""

_FISH = r"""# runtime completion for fish
function __runtime_candidates
  set -l words (commandline -opc) (commandline -ct)
  $words[1] completion candidates -- $words[2..-1] 2>/dev/null
end
complete -c runtime -f
complete -c runtime -a '(__runtime_candidates | string match -v -- ":files")'
complete -c runtime -n '__runtime_candidates | string match -q -- ":files"' -F
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
