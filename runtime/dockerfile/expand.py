"""Variables in the words of commands.

Which instruction expands which of its fields is the table `_FIELDS`; the rest (RUN, CMD,
ENTRYPOINT, SHELL, HEALTHCHECK, MAINTAINER, ONBUILD) leave variables to the shell or to later.
Source: the Dockerfile reference, "Environment replacement".
"""

from __future__ import annotations

from runtime.dockerfile import commands, mount_flags
from runtime.dockerfile.dockerfile_error import DockerfileError
from runtime.dockerfile.shellwords import Lexer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

    C = TypeVar("C", bound=commands.Command)

_FIELDS: dict[type[commands.Command], tuple[str, ...]] = {
    commands.From: ("image", "platform"),
    commands.Copy: ("sources", "destination", "chown", "chmod", "checksum", "exclude"),
    commands.User: ("user",),
    commands.Workdir: ("path",),
    commands.VolumeInstruction: ("paths",),
    commands.StopSignal: ("signal",),
}


class Expansion:
    """Expands with the variables *env*.

    `used` collects the names that were met and set, `unset` those that were not, unless the word
    says what holds then: `${x:-default}`.
    """

    def __init__(self, env: Mapping[str, str], escape: str = "\\") -> None:
        self._env = env
        self._escape = escape
        self.used: set[str] = set()
        self.unset: set[str] = set()

    def word(self, text: str, *, plain_quotes: bool = False) -> str:
        """Return *text* with its variables replaced and its quotes gone."""
        return self._read(text, plain_quotes=plain_quotes)[0]

    def words(self, text: str) -> list[str]:
        """Return *text* likewise, split at what is not quoted, in variables' values too."""
        return self._read(text)[1]

    def _read(self, text: str, *, plain_quotes: bool = False) -> tuple[str, list[str]]:
        # A heredoc is escaped by a backslash whatever the directive says.
        escape = "\\" if plain_quotes else self._escape
        lexer = Lexer(text, self._env, escape, plain_quotes=plain_quotes)
        result = lexer.read()
        self.used |= lexer.matched
        self.unset |= lexer.unmatched
        return result

    def command(self, command: C) -> C:
        """Return *command* with its fields expanded.

        Raises:
            DockerfileError: with the command's line.
        """
        try:
            expanded: C = self._command(command)
        except DockerfileError as problem:
            place = command.place
            raise problem.at(place.first_line, place.text) from None
        return expanded

    def _command(self, command: commands.Command) -> Any:
        if isinstance(command, commands.Env | commands.Label | commands.Arg):
            return command.replace(pairs=tuple(self._pair(pair) for pair in command.pairs))
        if isinstance(command, commands.Expose):
            ports = [port for text in command.ports for port in self.words(text)]
            return command.replace(ports=tuple(ports))
        if isinstance(command, commands.Run):
            expanded = tuple(mount_flags.expand(mount, self.word) for mount in command.mounts)
            return command.replace(mounts=expanded)
        fields = {
            name: self._field(getattr(command, name)) for name in _FIELDS.get(type(command), ())
        }
        if isinstance(command, commands.Copy):
            fields["heredocs"] = tuple(self._heredoc(heredoc) for heredoc in command.heredocs)
        return command.replace(**fields) if fields else command

    def _field(self, value: str | tuple[str, ...]) -> object:
        if isinstance(value, str):
            return self.word(value)
        return tuple(self.word(word) for word in value)

    def _pair(self, pair: commands.Pair) -> commands.Pair:
        value = None if pair.value is None else self.word(pair.value)
        return pair.replace(key=self.word(pair.key), value=value)

    def _heredoc(self, heredoc: commands.Heredoc) -> commands.Heredoc:
        if not heredoc.expand:
            return heredoc
        return heredoc.replace(content=self.word(heredoc.content, plain_quotes=True))


def word(text: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """Return *text* with the variables of *env* replaced and its quotes gone."""
    return Expansion(env, escape).word(text)


def words(text: str, env: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Return *text* likewise, as words."""
    return Expansion(env, escape).words(text)


def expand_command(command: C, env: Mapping[str, str], escape: str = "\\") -> C:
    """Return *command* with the variables of *env* replaced.

    Raises:
        DockerfileError: with the command's line.
    """
    return Expansion(env, escape).command(command)


def declared(
    command: commands.Arg,
    env: Mapping[str, str],
    *,
    given: Mapping[str, str],
    outer: Mapping[str, str],
    escape: str = "\\",
) -> tuple[tuple[str, str | None], ...]:
    """Return (name, value) of each ARG that *command* declares; None: it has no value.

    The value is that of *given* (--build-arg), else the default, which sees the ARGs before it on
    the line, else that of *outer*: the ARGs before the first FROM and the platform.

    Raises:
        DockerfileError: with the command's line; a default that is not needed is not looked at.
    """
    known = dict(env)
    result = []
    for pair in command.pairs:
        alone = command.replace(pairs=(pair.replace(value=None),))
        name = expand_command(alone, known, escape).pairs[0].key
        value: str | None
        if name in given:
            value = given[name]
        elif pair.value is not None:
            alone = command.replace(pairs=(pair,))
            value = expand_command(alone, known, escape).pairs[0].value
        else:
            value = outer.get(name)
        if value is not None:
            known[name] = value
        result.append((name, value))
    return tuple(result)
