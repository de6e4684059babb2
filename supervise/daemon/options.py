"""The command line of `supervise`, read by hand: argparse would cost 11 ms before PID 1 is up."""

from __future__ import annotations

from supervise.model.numerals import whole
from supervise.model.record import Record
from supervise.model.signals import SIGRTMAX, signal_number

USAGE = """\
supervise: a PID 1 for containers

  supervise                          the services of the configuration found first
  supervise -c FILE [-c FILE]...     those services; a directory means its *.yaml
  supervise [-c FILE]... -- CMD ...  CMD in the foreground, with those services beside it
  supervise -- CMD ...               CMD alone, as under tini

  supervise check [FILE]...          print every problem of a configuration
  supervise schema                   print its JSON Schema
  supervise compile [FILE]...        write the validated plan beside it, for a faster start
  supervise explain-config [FILE]... print it with every default filled in

options:
  -c, --config FILE     a configuration file or directory; repeatable
  --rewrite FROM:TO     treat signal FROM as TO; TO 0 drops it; repeatable
  --remap-exit FROM:TO  exit with TO when the main command exits with FROM; repeatable
  --no-group            forward signals to the main command alone, not to its process group
  -h, --help            show this
  -V, --version         show the version

The configuration is looked for in $SUPERVISE_CONFIG, /etc/supervise/supervise.yaml,
/etc/supervise.yaml and ./supervise.yaml.  Exit codes: the main command's or that of the first
service that failed for good; 126 not executable, 127 not found, 78 bad configuration, 2 usage,
70 internal fault.  See also: supervisectl --help
"""


class UsageError(Exception):
    """The command line cannot be understood; the text says why and what to do."""


class BootOptions(Record):
    """What was asked for."""

    config: tuple[str, ...] = ()
    command: tuple[str, ...] = ()  # what follows `--`
    rewrite: tuple[tuple[int, int], ...] = ()  # signal numbers
    remap_exit: tuple[tuple[int, int], ...] = ()
    group: bool = True
    show: str = ""  # help | version, instead of running

    @property
    def alone(self) -> bool:
        """Return whether a main command was given and no configuration."""
        return bool(self.command) and not self.config


def parse(words: list[str]) -> BootOptions:
    """Return the options in *words* (without the program's name).

    Raises:
        UsageError: with one sentence.
    """
    config: list[str] = []
    rewrite: list[tuple[int, int]] = []
    remap: list[tuple[int, int]] = []
    group = True
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, has_value, inline = word.partition("=") if word.startswith("--") else (word, "", "")
        if word == "--":
            return BootOptions(tuple(config), tuple(rest), tuple(rewrite), tuple(remap), group)
        if name in ("-h", "--help", "-V", "--version"):
            return BootOptions(show="help" if name in ("-h", "--help") else "version")
        if name in ("-c", "--config"):
            config.append(inline if has_value else _value(name, rest))
        elif name == "--rewrite":
            rewrite.append(_signals(inline if has_value else _value(name, rest)))
        elif name == "--remap-exit":
            remap.append(_codes(inline if has_value else _value(name, rest)))
        elif word == "--no-group":
            group = False
        elif word.startswith("-"):
            raise UsageError(f"no such option '{word}'; see supervise --help")
        else:
            raise UsageError(f"'{word}' is neither a verb nor an option; a command follows '--'")
    return BootOptions(tuple(config), (), tuple(rewrite), tuple(remap), group)


def _value(name: str, rest: list[str]) -> str:
    if not rest or rest[0] == "--":
        raise UsageError(f"{name} needs a value")
    return rest.pop(0)


def _signals(text: str) -> tuple[int, int]:
    source, _, target = text.partition(":")
    number = signal_number(source)
    replacement = 0 if target == "0" else signal_number(target)
    if number is None or replacement is None:
        raise UsageError(f"--rewrite {text}: two signals, such as 15:3 or TERM:QUIT (0 drops it)")
    assert replacement <= SIGRTMAX
    return number, replacement


def _codes(text: str) -> tuple[int, int]:
    source, _, target = text.partition(":")
    first, second = whole(source), whole(target)
    if first is None or second is None or max(first, second) > 255:
        raise UsageError(f"--remap-exit {text}: two exit codes of 0 to 255, such as 143:0")
    return first, second
