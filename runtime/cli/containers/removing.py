"""`rm`, `container prune`, `update`: the record of containers."""

from __future__ import annotations

import sys
import time

from runtime.cli import output
from runtime.cli.containers import (
    life,
    lookup,
    run_options,
    sizes,
)
from runtime.container import remains
from runtime.container.heal import is_alive
from runtime.language import filters
from runtime.language.commandline import Verb
from runtime.linux import cgroups
from runtime.model import units
from runtime.model.container import option_values, statuses
from runtime.model.errors import RuntimeFailure
from runtime.store import events
from runtime.store.containers import Containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.model.container.spec import Limits, Spec
    from runtime.store.layout import Layout

RM = Verb(
    "rm",
    "CONTAINER [CONTAINER...]",
    "Remove containers",
    """
  -f, --force     Also one that runs: it is killed
  -v, --volumes   And its anonymous volumes
""",
    least=1,
)
PRUNE = Verb(
    "container prune",
    "",
    "Remove all stopped containers",
    """
      --filter filter   label=KEY[=VALUE], until=TIME
  -f, --force           Do not ask
""",
    most=0,
)
UPDATE = Verb(
    "update",
    "CONTAINER [CONTAINER...]",
    "Change limits and restart policy of containers, also while they run",
    """
  -c, --cpu-shares int             Weight among other containers
      --cpus decimal               Processors at most
      --cpuset-cpus string         Processors it may use
      --cpuset-mems string         Memory nodes it may use
  -m, --memory bytes               Memory at most
      --memory-reservation bytes   Memory it should get
      --memory-swap bytes          Memory and swap at most; -1 for any
      --pids-limit int             Processes at most
      --restart string             no, always, unless-stopped, on-failure[:N]
""",
    least=1,
)


def rm(layout: Layout, words: Arguments) -> int:
    """Remove containers."""

    def remove(name: str) -> None:
        try:
            spec, state = lookup.any_of(layout, name)
        except RuntimeFailure as failure:
            if words.flag("force") and failure.message.startswith("no such container"):
                raise RuntimeFailure(failure.message, failure.hint, code=0) from None
            raise
        if state.status == statuses.DAMAGED and not words.flag("force"):
            raise RuntimeFailure(
                f"cannot remove container '{name}': {state.error}",
                f"runtime rm -f {name}",
                code=1,
            )
        starts = state.status not in statuses.ALIVE and life.is_starting(layout, spec)
        # A monitor that a full disk kept from writing that it has started is one all the same.
        unwritten = words.flag("force") and is_alive(layout, spec.id)
        if starts or unwritten or state.status in statuses.ALIVE:
            shown = "being started" if starts else state.status
            _end(layout, spec, shown, force=words.flag("force"))
        remove_stopped(layout, spec, volumes=words.flag("volumes"))
        output.say(name)

    return output.each(words.operands, remove)


def _end(layout: Layout, spec: Spec, status: str, *, force: bool) -> None:
    if not force:
        raise RuntimeFailure(
            f"cannot remove container '{spec.name}': it is {status}",
            f"runtime stop {spec.name}, or runtime rm -f {spec.name}",
            code=1,
        )
    # A stop without grace, not a kill: nothing starts it again, and it ends a pause.
    life.stop_running(layout, spec, signal=9, timeout=0, quiet=True)


def remove_stopped(layout: Layout, spec: Spec, *, volumes: bool = False) -> None:
    """Remove a container that has no process any more."""
    life.await_monitor(layout, spec.id)
    if volumes:
        remains.forget(layout, spec)
    else:
        Containers(layout).remove(spec.id)
    remains.remove_run_directory(layout, spec.id)  # of a monitor that was killed


def prune(layout: Layout, words: Arguments) -> int:
    """Remove all stopped containers."""
    if not output.agrees(words, "This will remove all stopped containers."):
        return 0
    removed, freed = remove_unused(layout, words)
    if removed:
        sys.stdout.write("Deleted Containers:\n" + "".join(f"{name}\n" for name in removed) + "\n")
    sys.stdout.write(f"Total reclaimed space: {units.human_size(freed)}\n")
    return 0


def remove_unused(layout: Layout, words: Arguments) -> tuple[list[str], int]:
    """Remove stopped containers that the filters let through; return (ids, bytes freed)."""
    given = filters.parse(words.many("filter"), filters.PRUNE)
    limit = filters.until(given, time.time())
    removed, freed = [], 0
    for spec, state in lookup.every(layout):
        unwanted = any(filters.has_labels([text], spec.labels) for text in given.get("label!", ()))
        if (
            state.status in statuses.ALIVE
            or (state.status == statuses.DAMAGED and is_alive(layout, spec.id))
            or (limit is not None and spec.created >= limit)
            or not filters.has_labels(given.get("label", ()), spec.labels)
            or unwanted
        ):
            continue
        freed += sizes.written(layout, spec)
        remove_stopped(layout, spec)
        removed.append(spec.id)
    return removed, freed


def update(layout: Layout, words: Arguments) -> int:
    """Change limits and restart policy."""
    if not words.values:
        raise RuntimeFailure("nothing to update", "runtime update --help lists what can be", code=1)
    asked = run_options.limits_of(words)
    policy = None
    if words.given("restart"):
        try:
            policy = option_values.restart(words.text("restart"))
        except ValueError as error:
            raise RuntimeFailure(f"--restart: {error}", code=1) from None

    def change(name: str) -> None:
        spec, state = lookup.one(layout, name)
        merged = spec.limits.replace(**dict(asked.set_items()))
        changed = spec.replace(limits=merged, restart=policy or spec.restart)
        if changed.auto_remove and changed.restart.mode != "no":
            raise RuntimeFailure(f"'{spec.name}' was made with --rm: it is never restarted", code=1)
        if state.status in statuses.ALIVE:
            _apply(spec, merged)
        Containers(layout).save_spec(changed)
        if state.status in statuses.ALIVE:
            life.ask(layout, spec, "reload")
        events.of_container(layout, spec, "update")
        output.say(name)

    return output.each(words.operands, change)


def _apply(spec: Spec, limits: Limits) -> None:
    try:
        problems = cgroups.of(spec.id).limit(limits)
    except OSError as error:
        raise RuntimeFailure(
            f"cannot limit '{spec.name}': {error.strerror}",
            "is it using more than that at the moment?",
            code=1,
        ) from error
    for problem in problems:
        sys.stderr.write(f"runtime: {problem}\n")
