"""`<<NAME`: which heredocs a line opens, and what they hold."""

from __future__ import annotations

import re

from runtime.dockerfile.commands import Heredoc
from runtime.dockerfile.dockerfile_error import DockerfileError
from runtime.dockerfile.shellwords import Lexer

_REDIRECTION = re.compile(r"(\d*)<<(-?)([^<]*)", re.DOTALL)
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)


def opened_by(line: str) -> tuple[Heredoc, ...]:
    """Return the heredocs that *line* opens, in order, without content."""
    lexer = Lexer(line, {}, raw_quotes=True, raw_escapes=True, keep_unset=True)
    try:
        words = lexer.read()[1]
    except DockerfileError:
        return ()  # a shell line with quotes of its own: the shell will say what it thinks
    found = (parse(word) for word in words)
    return tuple(heredoc for heredoc in found if heredoc is not None)


def parse(word: str) -> Heredoc | None:
    """Return what `<<NAME`, `<<-NAME` or `<<"NAME"` opens, None for any other word."""
    match = _REDIRECTION.fullmatch(word)
    if match is None or not match[3]:
        return None
    try:
        plain = Lexer(match[3], {}, keep_unset=True).read()[1]
        raw = Lexer(match[3], {}, raw_quotes=True, raw_escapes=True, keep_unset=True).read()[1]
    except DockerfileError:
        return None
    if len(plain) != 1:
        return None
    # Quoting any letter of the name keeps the body as it is: POSIX Shell 2.7.4.
    return Heredoc(plain[0], "", expand=raw == plain, chomp=bool(match[2]))


def without_tabs(content: str) -> str:
    """Return *content* as `<<-` gives it: no tabs at the beginning of its lines."""
    return _LEADING_TABS.sub("", content)
