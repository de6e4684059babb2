"""What verbs share when they speak: lists, several operands, questions."""

from __future__ import annotations

import sys

from runtime.cli import printing
from runtime.cli.failure_output import print_failure
from runtime.language import columns
from runtime.language.template_functions import TemplateError
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from runtime.language.commandline import Arguments
    from runtime.language.templates import Template

FORMAT = """
      --format string   'table' (default), 'table TEMPLATE', 'json', or a Go template:
                        {{.Field}}, {{json .}}, {{range}}, {{if}}, …
"""


def show(
    words: Arguments,
    rows: Sequence[dict[str, Any]],
    headers: Mapping[str, str],
    table: Sequence[str],
) -> None:
    """Print *rows* as ``--format`` says.

    Raises:
        RuntimeFailure: it is no template.
    """
    try:
        text = columns.listing(words.text("format"), rows, headers, table, printing.screen)
    except TemplateError as error:
        raise template_failure(error, headers) from error
    printing.write_own(text)


def render(template: Template, value: Any, known: Iterable[str] = (), *, code: int = 1) -> None:
    """Print what *template* makes of *value*; what a terminal shows of it cannot drive it.

    Raises:
        RuntimeFailure: it is no template for *value*; with *code*, naming the *known* fields.
    """
    try:
        text = template.render(value, printing.screen)
    except TemplateError as error:
        raise template_failure(error, known, code) from error
    printing.write_own(f"{text}\n")


def fields(words: Arguments, table: Sequence[str]) -> set[str]:
    """Return the fields that `show` will want; raises as it does."""
    try:
        return columns.fields(words.text("format"), table)
    except TemplateError as error:
        raise template_failure(error) from error


def template_failure(
    error: TemplateError, known: Iterable[str] = (), code: int = 1
) -> RuntimeFailure:
    """Return what a person is told; *known* are the fields there are."""
    names = ", ".join(known)
    hint = f"the fields are {names}" if names and "no entry for key" in str(error) else ""
    return RuntimeFailure(f"template parsing error: {error}", hint, code=code)


def each(operands: Iterable[str], do: Callable[[str], object]) -> int:
    """Call *do* with every operand, whatever becomes of the others; print what it refuses.

    Returns 0, or the code of the last failure.
    """
    code = 0
    for operand in operands:
        try:
            do(operand)
        except RuntimeFailure as failure:
            sys.stdout.flush()
            print_failure(failure)
            # 125 says that no container ran; where none was to run it is docker's plain 1.
            code = 1 if failure.code == 125 else failure.code or code
    return code


def say(operand: str) -> None:
    """Print what an operand was, as docker does when it is done with it."""
    sys.stdout.write(f"{operand}\n")
    sys.stdout.flush()


def agrees(words: Arguments, warning: str) -> bool:
    """Ask whether to go on, unless ``--force``; no answer is no."""
    if words.flag("force"):
        return True
    sys.stdout.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
