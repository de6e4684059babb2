"""`supervisectl completion`: scripts that complete verbs, options, values and service names.

Made from the table of verbs.  Names are asked for when they are needed, with
``supervisectl completion services``, which is silent when there is nobody to ask.
"""

from __future__ import annotations

import sys

from supervise.cli import verbs
from supervise.cli.arguments import UsageError
from supervise.cli.connect import connect
from supervise.cli.exitcodes import DONE, UNREACHABLE
from supervise.client.control_client import ApiError, SuperviseUnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervise.cli.arguments import Arguments

_PROGRAM = verbs.PROGRAM


def completion(given: Arguments) -> int:
    """Run the verb."""
    shell = given.operands[0]
    if shell == "services":
        return _print_services(given)
    scripts = {"bash": bash, "zsh": zsh, "fish": fish}
    if shell not in scripts:
        raise UsageError(f"there is no completion for '{shell}': bash, zsh or fish", "completion")
    sys.stdout.write("\n".join(scripts[shell]()) + "\n")
    return DONE


def _print_services(given: Arguments) -> int:
    try:
        services = connect(given).call("Status")["services"]
    except (SuperviseUnreachableError, ApiError):
        return UNREACHABLE  # in the middle of a line somebody types there is nothing to say
    sys.stdout.write("".join(f"{service['name']}\n" for service in services))
    return DONE


def _options(verb: verbs.Verb | None) -> Iterable[verbs.Option]:
    return (*(verb.options if verb else ()), *verbs.GLOBAL)


def _spellings(option: verbs.Option) -> list[str]:
    return [*([f"-{option.short}"] if option.short else []), f"--{option.name}"]


def bash() -> list[str]:
    """Return the script for bash."""
    lines = [
        f"# {_PROGRAM} completion for bash",
        f"_{_PROGRAM}() {{",
        "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}",
        "  local verb= place= word i operands=0 words=",
        "  for ((i = 1; i < COMP_CWORD; i++)); do",
        "    word=${COMP_WORDS[i]}",
        "    case $word in",
        "      --socket) place=${COMP_WORDS[i+1]}; ((i++)) ;;",
        f"      {'|'.join(_value_takers())}) ((i++)) ;;",
        "      -*) ;;",
        "      *) if [[ -z $verb ]]; then verb=$word; else ((operands++)); fi ;;",
        "    esac",
        "  done",
        "  if [[ $previous == --socket ]]; then",
        '    COMPREPLY=($(compgen -f -- "$current"))',
        "    return",
        "  fi",
        '  case "$verb $previous" in',
    ]
    for verb in verbs.VERBS:
        for option in verb.options:
            if option.metavar:
                patterns = "|".join(f'"{verb.name} {word}"' for word in _spellings(option))
                choices = " ".join(option.choices)
                reply = f'COMPREPLY=($(compgen -W "{choices}" -- "$current"))'
                lines.append(f"    {patterns}) {reply}; return ;;")
    lines += ["  esac", "  case $verb in"]
    names = " ".join(verbs.BY_NAME)
    lines.append(f'    "") words="{names} {_words(None)}" ;;')
    for verb in verbs.VERBS:
        lines.append(f"    {verb.name})")
        lines.append(f'      words="{_words(verb)}"')
        if verb.completes:
            lines.append(f'      ((operands == 0)) && words+=" {" ".join(verb.completes)}"')
        if verb.names_services:
            condition = "((operands > 0)) && " if verb.completes else ""
            ask = f'{_PROGRAM} ${{place:+--socket "$place"}} completion services 2>/dev/null'
            lines.append(f'      [[ $current != -* ]] && {condition}words+=" $({ask})"')
        lines.append("      ;;")
    return [
        *lines,
        "  esac",
        '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        f"complete -F _{_PROGRAM} {_PROGRAM}",
    ]


def _value_takers() -> list[str]:
    """Return the spellings of all options that take a value, but --socket."""
    found = [o for verb in verbs.VERBS for o in verb.options if o.metavar]
    # A letter may be a flag of one verb and take a value in another (-t): long names suffice for
    # those, and counting an operand too many only offers names a word too early.
    flags = {o.short for verb in verbs.VERBS for o in verb.options if not o.metavar}
    words = [w for o in found for w in _spellings(o) if w.lstrip("-") not in flags]
    return list(dict.fromkeys(words))


def _words(verb: verbs.Verb | None) -> str:
    return " ".join(f"--{option.name}" for option in _options(verb))


def zsh() -> list[str]:
    """Return the script for zsh; the file's name has to be _supervisectl."""
    lines = [
        f"#compdef {_PROGRAM}",
        f"_{_PROGRAM}_services() {{",
        "  local -a names",
        (
            f'  names=("${{(@f)$({_PROGRAM} ${{opt_args[--socket]:+--socket ${{opt_args[--socket]}}}} '
            'completion services 2>/dev/null)}")'
        ),
        "  [[ -n $names ]] && compadd -a names",
        "}",
        f"_{_PROGRAM}() {{",
        "  local context state state_descr line",
        "  typeset -A opt_args",
        f"  _arguments -C {' '.join(_zsh_options(None))} '1:verb:->verb' '*::operand:->operands'",
        "  case $state in",
        "    verb)",
        "      local -a verbs",
        "      verbs=(",
        *(f"        {_quoted(f'{verb.name}:{verb.summary}')}" for verb in verbs.VERBS),
        "      )",
        "      _describe verb verbs ;;",
        "    operands)",
        "      case $words[1] in",
    ]
    for verb in verbs.VERBS:
        operands = []
        if verb.completes:
            operands.append(_quoted(f"1:{verb.operands.split()[0]}:({' '.join(verb.completes)})"))
        if verb.names_services:
            operands.append(f"'*:service:_{_PROGRAM}_services'")
        arguments = " ".join([*_zsh_options(verb), *operands])
        lines.append(f"        {verb.name}) _arguments {arguments} ;;")
    return [
        *lines,
        "      esac ;;",
        "  esac",
        "}",
        # Sourced it registers itself; from a directory in fpath it is the function's body.
        (
            f'if [[ $funcstack[1] == _{_PROGRAM} ]]; then _{_PROGRAM} "$@"; '
            f"else compdef _{_PROGRAM} {_PROGRAM}; fi"
        ),
    ]


def _zsh_options(verb: verbs.Verb | None) -> list[str]:
    found = []
    for option in _options(verb):
        help_text = option.help.replace("[", "(").replace("]", ")").replace(":", " -")
        value = ""
        if option.metavar:
            choices = f"({' '.join(option.choices)})" if option.choices else ""
            choices = "_files" if option is verbs.SOCKET else choices
            value = f":{option.metavar}:{choices}"
        found += [_quoted(f"{word}[{help_text}]{value}") for word in _spellings(option)]
    return found


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def fish() -> list[str]:
    """Return the script for fish."""
    names = " ".join(verbs.BY_NAME)
    no_verb = f"not __fish_seen_subcommand_from {names}"
    lines = [f"# {_PROGRAM} completion for fish", f"complete -c {_PROGRAM} -f"]
    lines += [f"complete -c {_PROGRAM} {_fish_option(option)}" for option in verbs.GLOBAL]
    for verb in verbs.VERBS:
        summary = _fish_quoted(verb.summary)
        lines.append(f"complete -c {_PROGRAM} -n '{no_verb}' -a {verb.name} -d {summary}")
        seen = f"-n '__fish_seen_subcommand_from {verb.name}'"
        lines += [
            f"complete -c {_PROGRAM} {seen} {_fish_option(option)}" for option in verb.options
        ]
        if verb.completes:
            words = " ".join(verb.completes)
            lines.append(f"complete -c {_PROGRAM} {seen} -a '{words}'")
        if verb.names_services:
            ask = f"'({_PROGRAM} completion services 2>/dev/null)'"
            lines.append(f"complete -c {_PROGRAM} {seen} -a {ask}")
    return lines


def _fish_option(option: verbs.Option) -> str:
    words = [f"-l {option.name}", f"-d {_fish_quoted(option.help)}"]
    if option.short:
        words.insert(0, f"-s {option.short}")
    if option.choices:
        words.append(f"-x -a '{' '.join(option.choices)}'")
    elif option is verbs.SOCKET:
        words.append("-r -F")
    elif option.metavar:
        words.append("-x")
    return " ".join(words)


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
