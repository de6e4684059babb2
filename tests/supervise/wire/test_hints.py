"""Hints: as `supervisectl` says them, across the API and back."""

from __future__ import annotations

import pytest

from supervise.model.hint import Hint, HintKind
from supervise.wire import hints


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (HintKind.START, "supervisectl start web"),
        (HintKind.RESTART, "give it one, or run: supervisectl restart web"),
        (HintKind.EXPLAIN, "supervisectl explain web"),
        (HintKind.LOGS, "supervisectl logs web"),
        (HintKind.LAST_LINES, "supervisectl logs -n 20 web"),
        (HintKind.AWAIT_READY, "give it one, or wait for ready"),
        (HintKind.SEE_STACK, "it hangs in the kernel (state D): see its /proc/PID/stack"),
        (HintKind.UNCHANGED, "it goes on as it was"),
    ],
)
def test_hint_in_the_words_of_supervisectl(kind: HintKind, words: str) -> None:
    assert hints.in_words(Hint(kind, "web")) == words


def test_hints_to_follow_in_order_are_one_sentence() -> None:
    both = (Hint(HintKind.LAST_LINES, "web"), Hint(HintKind.START, "web"))

    assert hints.sentence(both) == "Try: supervisectl logs -n 20 web; then supervisectl start web"


@pytest.mark.parametrize("kind", HintKind)
def test_hint_crosses_the_api(kind: HintKind) -> None:
    assert hints.read(hints.plain(Hint(kind, "web"))) == Hint(kind, "web")


def test_advice_is_said_in_our_own_words_and_not_by_the_text_beside_it() -> None:
    advice = {"kind": "start", "service": "web"}

    assert hints.advised({"hint": "another text", "advice": advice}) == "supervisectl start web"


@pytest.mark.parametrize("advice", [None, {"kind": "not known yet", "service": "web"}])
def test_text_is_what_is_said_where_the_advice_is_not_understood(advice: object) -> None:
    assert hints.advised({"hint": "do this", "advice": advice}) == "do this"


def test_no_advice_and_no_text_is_nothing_to_say() -> None:
    assert hints.advised({"hint": "", "advice": None}) == ""
    assert hints.advised({}) == ""
