"""A command line → words, quoted as in a shell, with no shell run.

``shlex`` would do, but for 1.3 ms of import and for what it lets through: a pipe or a variable
in such a line is an argument to the program, which is never what its author meant.
"""

from __future__ import annotations

_SHELL = {
    "|": "a pipe",
    "&": "'&'",
    ";": "';'",
    "<": "a redirection",
    ">": "a redirection",
    "`": "a command substitution",
    "$": "a variable or a command substitution",
    "(": "a subshell",
    ")": "a subshell",
    "*": "a file name pattern",
}
_QUOTED_SHELL = {"`", "$"}
_ESCAPABLE = frozenset('$`"\\\n')
_BLANK = frozenset(" \t\n\r")


class WordsError(ValueError):
    """A command line that cannot be split, and what to do about it."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def split(text: str) -> tuple[str, ...]:
    """Return the words of *text*; raises `WordsError`."""
    words: list[str] = []
    word: list[str] | None = None  # None: between words; [] is an empty quoted word
    position = 0
    while position < len(text):
        character = text[position]
        if character in _BLANK:
            if word is not None:
                words.append("".join(word))
                word = None
            position += 1
            continue
        if character in _SHELL:
            raise _shell_syntax(character)
        if text.startswith("\\\n", position):  # the line goes on
            position += 2
            continue
        word = [] if word is None else word
        if character in "'\"":
            piece, position = _quoted(text, position)
            word.append(piece)
        elif character == "\\":
            if position + 1 == len(text):
                raise WordsError("ends with a backslash", "remove it, or double it")
            word.append(text[position + 1])
            position += 2
        else:
            word.append(character)
            position += 1
    if word is not None:
        words.append("".join(word))
    if words:
        _check_assignment(words[0])
    return tuple(words)


def _quoted(text: str, start: int) -> tuple[str, int]:
    """Return what the quote at *start* holds, and where the text goes on."""
    quote = text[start]
    piece: list[str] = []
    position = start + 1
    while position < len(text):
        character = text[position]
        if character == quote:
            return "".join(piece), position + 1
        if quote == '"':
            if character in _QUOTED_SHELL:
                raise _shell_syntax(character)
            if character == "\\" and text[position + 1 : position + 2] in _ESCAPABLE:
                position += 1
                character = text[position].removeprefix("\n")
        piece.append(character)
        position += 1
    raise WordsError(f"the quote {quote} is not closed", f"add the closing {quote}")


def _shell_syntax(character: str) -> WordsError:
    return WordsError(
        f"holds {_SHELL[character]}, and no shell reads it",
        'write {shell: "..."} to run a shell, or put it in single quotes',
    )


def _check_assignment(word: str) -> None:
    name, equals, _ = word.partition("=")
    if equals and name.isidentifier():
        raise WordsError(
            f"begins with the assignment {name}=…, and no shell reads it",
            f"put {name} into `environment`",
        )
