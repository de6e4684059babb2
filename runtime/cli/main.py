"""The command `runtime`: the verb's module is imported when the verb is called, no other."""

from __future__ import annotations

import os
import sys

from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Verb → (module below runtime.cli, one line for the overview).
VERBS = {
    "run": ("run", "make a container from an image and start it"),
    "exec": ("exec", "run one more command in a running container"),
    "attach": ("attach", "connect this terminal to a running container"),
    "start": ("start", "start stopped containers"),
    "stop": ("stop", "stop running containers: signal, grace, kill"),
    "restart": ("restart", "stop containers and start them again"),
    "kill": ("kill", "send a signal to containers"),
    "pause": ("pause", "freeze all processes of containers"),
    "unpause": ("unpause", "let frozen containers go on"),
    "wait": ("wait", "wait for containers to end, print their exit codes"),
    "rm": ("rm", "remove containers"),
    "create": ("create", "make a container from an image without starting it"),
    "ctl": ("ctl", "supervisectl of a container, from outside"),
}
_ROOT_NEEDED = "run it as root: sudo runtime …"


def main() -> int:
    """Run the verb that the command line names; returns the exit code."""
    try:
        return dispatch(sys.argv[1:])
    except RuntimeFailure as failure:
        print_failure(failure)
        return failure.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at its end.
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        return 141


def print_failure(failure: RuntimeFailure) -> None:
    """Say what went wrong, once, and the way out if there is one."""
    text = f"runtime: {failure.message}\n"
    if failure.hint:
        text += f"{failure.hint}\n"
    sys.stderr.write(text)
    sys.stderr.flush()


def dispatch(words: Sequence[str]) -> int:
    """Find the verb behind the general options and call it."""
    todo = list(words)
    root = os.environ.get("RUNTIME_ROOT", "")
    while todo and todo[0].startswith("-"):
        word = todo.pop(0)
        name, equals, value = word.partition("=")
        if name == "--root":
            if not equals and not todo:
                raise RuntimeFailure("--root needs a directory", "see runtime --help")
            root = value if equals else todo.pop(0)
        elif name in ("-h", "--help"):
            sys.stdout.write(_overview())
            return 0
        elif name in ("-v", "-V", "--version"):
            from supervise import __version__

            sys.stdout.write(f"runtime {__version__}\n")
            return 0
        else:
            raise RuntimeFailure(f"no such option: {name}", "see runtime --help")
    if not todo or todo[0] == "help":
        sys.stdout.write(_overview())
        return 0
    return _call(todo[0], todo[1:], root)


def _call(name: str, words: list[str], root: str) -> int:
    if name not in VERBS:
        from runtime.model.suggest import closest

        near = closest(name, VERBS)
        hint = f'did you mean "{near}"?' if near else "see runtime --help"
        raise RuntimeFailure(f"no such command: {name}", hint)
    from runtime.cli import options
    from runtime.store.layout import DEFAULT_ROOT, Layout

    module = __import__(f"runtime.cli.{VERBS[name][0]}", fromlist=["VERB"])
    try:
        parsed = options.parse(module.VERB, words)
    except options.HelpWanted:
        sys.stdout.write(options.help_text(module.VERB))
        return 0
    if os.geteuid() != 0:
        raise RuntimeFailure("runtime needs root", _ROOT_NEEDED)
    absolute = os.path.abspath(root) if root else DEFAULT_ROOT
    layout = Layout(absolute, os.environ.get("RUNTIME_RUN", ""))
    code: int = module.run(layout, parsed)
    return code


def _overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {line}" for name, (_, line) in sorted(VERBS.items()))
    return (
        "usage: runtime [--root DIR] COMMAND …\n\nContainers and images without a daemon.\n\n"
        f"commands:\n{verbs}\n\n"
        "options:\n"
        "  --root DIR   where everything is kept [/var/lib/runtime, $RUNTIME_ROOT]\n"
        "  --version    show the version\n\n"
        "runtime COMMAND --help says more.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
