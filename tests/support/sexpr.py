"""The instructions of a file as an S-expression: the form of BuildKit's parser tests.

The conformance tests compare with it.
"""

from __future__ import annotations

from runtime.dockerfile.lexer import DockerfileText, InstructionNode

_ESCAPED = {"\\": "\\\\", '"': '\\"', "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n"}
_ESCAPED |= {"\r": "\\r", "\t": "\\t", "\v": "\\v"}


def render(text: DockerfileText) -> str:
    """Return one line an instruction: `(run "make")`, `(copy ["--from=a"] "b" "c")`."""
    return "\n".join(_node(node) for node in text.nodes)


def _node(node: InstructionNode) -> str:
    parts = [node.name.lower()]
    if node.flags:
        parts.append("[" + " ".join(_quoted(flag) for flag in node.flags) + "]")
    if node.sub is not None:
        parts.append(_node(node.sub))
    parts += [_quoted(word) for word in node.words.words]
    return f"({' '.join(parts)})"


def _quoted(word: str) -> str:
    """Return *word* as Go's %q writes it."""
    return '"' + "".join(_letter(letter) for letter in word) + '"'


def _letter(letter: str) -> str:
    if letter in _ESCAPED:
        return _ESCAPED[letter]
    if letter.isprintable():
        return letter
    if letter < "\x80":
        return f"\\x{ord(letter):02x}"
    return f"\\u{ord(letter):04x}" if letter < "\U00010000" else f"\\U{ord(letter):08x}"
