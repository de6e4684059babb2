"""What to start and how: everything `spawn` needs, resolved; values only."""

from __future__ import annotations

import os

from supervise.linux.identity import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SpawnError(Exception):
    """A program could not be started.

    *stage* says at which step (fork, exec, chdir, user, …), *errno* why; *message* is the sentence.
    """

    def __init__(self, stage: str, number: int, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.errno = number
        self.message = message


class BaseEnvironment:
    """What every program inherits, encoded once: a hundred services share it."""

    __slots__ = ("entries", "values")

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self.entries = {name: _entry(name, value) for name, value in values.items()}


def _entry(name: str, value: str) -> bytes:
    return os.fsencode(f"{name}={value}")


_EMPTY = BaseEnvironment({})


class SpawnRequest:
    """One program to start.

    Not a Record: it is made once a service and used for every start, so what can be computed
    ahead is.  The descriptors are set anew before each start.
    """

    __slots__ = (
        "argv",
        "base",
        "cap_add",
        "cap_drop",
        "cpus",
        "environment",
        "identity",
        "ionice",
        "needs_fork",
        "new_session",
        "nice",
        "no_new_privileges",
        "oom_score_adj",
        "rlimits",
        "stderr_fd",
        "stdin_fd",
        "stdout_fd",
        "terminal_fd",
        "umask",
        "working_dir",
    )

    def __init__(
        self,
        argv: tuple[str, ...],
        environment: Mapping[str, str],
        *,
        base: BaseEnvironment = _EMPTY,  # what `environment` is on top of
        working_dir: str | None = None,
        umask: int | None = None,
        identity: Identity | None = None,
        rlimits: Mapping[int, tuple[int, int]] | None = None,
        nice: int | None = None,
        ionice: tuple[int, int] | None = None,
        oom_score_adj: int | None = None,
        cpus: tuple[int, ...] | None = None,
        cap_add: tuple[str, ...] = (),
        cap_drop: tuple[str, ...] = (),
        no_new_privileges: bool = False,
        terminal_fd: int | None = None,  # hand this terminal over to the child's group
    ) -> None:
        self.argv = argv
        self.environment = environment
        self.base = base
        self.working_dir = working_dir
        self.umask = umask
        self.identity = identity
        self.rlimits = rlimits or {}
        self.nice = nice
        self.ionice = ionice
        self.oom_score_adj = oom_score_adj
        self.cpus = cpus
        self.cap_add = cap_add
        self.cap_drop = cap_drop
        self.no_new_privileges = no_new_privileges
        self.terminal_fd = terminal_fd
        self.new_session = terminal_fd is None
        self.stdin_fd, self.stdout_fd, self.stderr_fd = 0, 1, 2
        self.needs_fork = no_new_privileges or any(
            value is not None and value not in ((), {})
            for value in (
                identity,
                self.rlimits,
                nice,
                ionice,
                oom_score_adj,
                cpus,
                cap_add,
                cap_drop,
                terminal_fd,
            )
        )

    def environment_entries(self) -> list[bytes]:
        """Return the whole environment as ``NAME=value``, as execve(2) takes it."""
        own = self.environment
        entries = [entry for name, entry in self.base.entries.items() if name not in own]
        entries += [_entry(name, value) for name, value in own.items()]
        return entries

    def executables(self) -> list[bytes]:
        """Return the paths to try, in order, as execvp(3) would; relative to the working_dir."""
        program = self.argv[0]
        if "/" in program or not program:  # nothing is called "", not even a directory of PATH
            return [os.fsencode(program)]
        path = self.environment.get("PATH") or self.base.values.get("PATH", DEFAULT_PATH)
        return [os.fsencode(os.path.join(folder or ".", program)) for folder in path.split(":")]
