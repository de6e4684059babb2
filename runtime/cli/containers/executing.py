"""`exec`: one more command in a running container; `ctl`: supervisectl of a container."""

from __future__ import annotations

import os

from runtime.cli.containers import attaching, lookup, run_options
from runtime.container import execute
from runtime.container.bundle import places
from runtime.language.commandline import Verb
from runtime.model.errors import RuntimeFailure
from runtime.model.image.image_config import DEFAULT_PATH
from runtime.store import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout

EXEC = Verb(
    "exec",
    "CONTAINER COMMAND [ARG...]",
    "Run one more command in a running container",
    """
  -d, --detach               Leave it running in the background
      --detach-keys string   Keys that leave it running (default ctrl-p,ctrl-q)
  -e, --env list             Set a variable, NAME=VALUE, or pass on ours, NAME
      --env-file list        Set the variables in a file
  -i, --interactive          Keep stdin open
      --privileged           With every capability, without the system call filter
  -t, --tty                  Give the command a terminal
  -u, --user string          USER[:GROUP] (default the container's)
  -w, --workdir string       Directory to start in (default the container's)
""",
    least=2,
    stops=True,
)
CTL = Verb(
    "ctl",
    "CONTAINER [COMMAND] [ARG...]",
    "Talk to the supervise that is a container's PID 1, as supervisectl does inside",
    least=1,
    stops=True,
    about="See supervisectl --help; without a command it shows the status.",
)


def exec_(layout: Layout, words: Arguments) -> int:
    """Run a command in a container; returns its exit code."""
    reads_terminal = words.flag("tty") and words.flag("interactive") and not words.flag("detach")
    if reads_terminal and not os.isatty(0):
        raise RuntimeFailure("the input is not a terminal", "leave out -t", code=1)
    spec, state = lookup.one(layout, words.operands[0])
    request = execute.ExecRequest(
        argv=words.operands[1:],
        environment=run_options.environment(words),
        user=words.text("user") if words.given("user") else None,
        working_dir=words.text("workdir"),
        tty=words.flag("tty"),
        interactive=words.flag("interactive"),
        detached=words.flag("detach"),
        privileged=words.flag("privileged"),
        detach_keys=attaching.detach_keys(words, spec.detach_keys),
    )
    shown = " ".join(request.argv)
    events.of_container(layout, spec, f"exec_start: {shown}")
    code = execute.execute(layout, spec, state, request)
    if not request.detached:
        events.of_container(layout, spec, "exec_die", exitCode=str(code))
    return code


def ctl(layout: Layout, words: Arguments) -> int:
    """Run supervisectl in a container; returns its exit code."""
    spec, state = lookup.one(layout, words.operands[0])
    if spec.init == "none":
        raise RuntimeFailure(
            f"container '{spec.name}' was made with --no-init: its PID 1 is no supervise", code=1
        )
    if spec.init == "supervise" and not spec.services:
        raise RuntimeFailure(
            f"container '{spec.name}' has no services: its supervise runs one command alone",
            f"runtime run --services FILE {spec.image}",
            code=1,
        )
    asked = words.operands[1:] or ("status",)
    request = execute.ExecRequest(argv=(places.SUPERVISECTL, *asked), user="0:0", is_ours=True)
    if spec.init == "image":
        # The image's own, from where images have programs: PATH may lead to a user's directory.
        request = request.replace(
            argv=("supervisectl", *asked), environment={"PATH": DEFAULT_PATH}, is_ours=False
        )
    return execute.execute(layout, spec, state, request)
