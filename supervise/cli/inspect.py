"""`supervisectl explain, health, apply, shutdown, version`: one question, one answer."""

from __future__ import annotations

import json
import sys

from supervise import __version__
from supervise.cli import status as status_verb
from supervise.cli.connect import connect
from supervise.cli.exitcodes import DONE, FAILED
from supervise.wire import hints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervise.cli.arguments import Arguments


def explain(given: Arguments) -> int:
    """Run the verb."""
    answer = connect(given).call("Explain", service=given.operands[0])
    if given.flag("json"):
        return _print_json(answer)
    lines = [*status_verb.lines([answer["service"]]), "", *_reasons(answer)]
    for blocker in answer["blockers"]:
        final = "; it will not get there without help" if blocker["final"] else ""
        condition = blocker["condition"]
        lines.append(f"  {blocker['service']}: {blocker['state']}, has to be {condition}{final}")
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE


def _reasons(answer: dict[str, Any]) -> list[str]:
    """Return the sentences, the advice in our own words if all of it is known to us."""
    sentences: list[str] = answer["sentences"]
    found = [hints.read(each) for each in answer["hints"] or ()]
    known = [hint for hint in found if hint is not None]
    if not known or len(known) < len(found):
        return sentences
    return [*sentences[:-1], hints.sentence(known)]


def health(given: Arguments) -> int:
    """Run the verb."""
    answer = connect(given).call("Health")
    code = DONE if answer["healthy"] else FAILED
    if given.flag("json"):
        _print_json(answer)
    elif answer["healthy"]:
        sys.stdout.write("healthy\n")
    for complaint in () if given.flag("json") else answer["complaints"]:
        # On the standard output: that is what `docker inspect` shows of a failed probe.
        sys.stdout.write(f"{complaint['service']} {complaint['reason']}\n")
    return code


def apply(given: Arguments) -> int:
    """Run the verb."""
    client = connect(given)
    answer = client.call("Apply", patient=True, dry_run=given.flag("dry-run") or None)
    if given.flag("json"):
        return _print_json(answer)
    for mark, group in (("+", "added"), ("-", "removed"), ("~", "changed")):
        for name in answer[group]:
            sys.stdout.write(f"{mark} {name}\n")
    counts = ", ".join(
        f"{len(answer[group])} {group}" for group in ("added", "removed", "changed", "unchanged")
    )
    done = "would be: " if answer["dry_run"] else ""
    sys.stdout.write(f"{done}{counts}\n")
    return DONE


def shutdown(given: Arguments) -> int:
    """Run the verb."""
    connect(given).call("Shutdown", exit_code=given.get("exit-code"))
    sys.stdout.write("shutting down\n")
    return DONE


def version(given: Arguments) -> int:
    """Run the verb.  Our own version is worth printing even if there is nobody to ask."""
    if not given.flag("json"):
        sys.stdout.write(f"supervisectl {__version__}\n")
        sys.stdout.flush()
    answer = connect(given).call("Version")
    if given.flag("json"):
        return _print_json({"client": __version__, "supervise": answer})
    sys.stdout.write(
        f"supervise    {answer['version']} (pid {answer['pid']}, Python {answer['python']})\n"
    )
    return DONE


def _print_json(value: dict[str, Any]) -> int:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    return DONE
