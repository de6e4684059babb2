"""What a 401 asks for: WWW-Authenticate, RFC 9110 section 11.6.1.  Text in, values out."""

from __future__ import annotations

import re

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PART = re.compile(
    # Possessive: what is taken is not given back, so that a server cannot make it quadratic.
    rf"[\s,]*+(?P<name>{_WORD}+)\s*+"
    r'(?:=\s*+(?:"(?P<quoted>(?:[^"\\]++|\\.)*+)"|(?P<plain>[^\s,"]++)))?'
)


class Challenge(Record):
    """One way in."""

    scheme: str  # lower case: basic, bearer
    parameters: Mapping[str, str]  # names in lower case


def parse(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Return the challenges of all WWW-Authenticate lines; what makes no sense is left out."""
    found: list[tuple[str, dict[str, str]]] = []
    for header in headers:
        at = 0
        while (part := _PART.match(header, at)) and part.end() > at:
            at = part.end()
            if part["quoted"] is None and part["plain"] is None:
                found.append((part["name"].lower(), {}))
            elif found:
                value = part["plain"] or re.sub(r"\\(.)", r"\1", part["quoted"] or "")
                found[-1][1][part["name"].lower()] = value
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)
