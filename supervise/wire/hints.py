"""Hints as `supervisectl` says them, and as the API carries them."""

from __future__ import annotations

from supervise.model.hint import Hint, HintKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_WORDS = {
    HintKind.START: "supervisectl start {name}",
    HintKind.RESTART: "give it one, or run: supervisectl restart {name}",
    HintKind.EXPLAIN: "supervisectl explain {name}",
    HintKind.LOGS: "supervisectl logs {name}",
    HintKind.LAST_LINES: "supervisectl logs -n 20 {name}",
    HintKind.AWAIT_READY: "give it one, or wait for ready",
    HintKind.SEE_STACK: "it hangs in the kernel (state D): see its /proc/PID/stack",
    HintKind.UNCHANGED: "it goes on as it was",
}


def in_words(hint: Hint | None) -> str:
    """Return *hint* as `supervisectl` says it; empty if there is none."""
    return _WORDS[hint.kind].format(name=hint.service) if hint is not None else ""


def sentence(hints: Iterable[Hint]) -> str:
    """Return *hints*, in the order to follow, as one sentence of `supervisectl`."""
    return f"Try: {'; then '.join(map(in_words, hints))}"


def plain(hint: Hint) -> dict[str, str]:
    """Return *hint* as the API's type of this name."""
    return {"kind": hint.kind.value, "service": hint.service}


def read(value: Mapping[str, Any]) -> Hint | None:
    """Return the hint that the API carries as *value*; None if its kind is newer than we are."""
    known = next((kind for kind in HintKind if kind.value == value["kind"]), None)
    return Hint(known, value["service"]) if known is not None else None


def advised(answer: Mapping[str, Any]) -> str:
    """Return what to do by an outcome or an error: its advice, or its text, which may be empty.

    The text alone is there from a supervise that is older, and from one that is newer.
    """
    advice = answer.get("advice")
    hint = read(advice) if advice is not None else None
    return in_words(hint) or str(answer.get("hint") or "")
