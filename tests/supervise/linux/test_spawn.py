"""What a started program finds: seen by /proc, id, prlimit and the program itself."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.linux import descriptors, signal_actions, spawn
from supervise.linux.request import SpawnError, SpawnRequest
from tests.support import procfs
from tests.support.eventually import eventually
from tests.support.spawning import WAYS, held, make_request, run, spawn_elsewhere, start

# Under xdist the worker has a thread more; fork and then exec is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

# posix_spawn(3), which may have started us, ignores these for its children, and nobody who uses
# glibc can give them their default action again.
GLIBCS_OWN = {32, 33}

both_ways = pytest.mark.parametrize("way", WAYS)


def line_of(*command: str) -> list[str]:
    """Return the words that *command* prints: another pair of eyes."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def refusal(request: SpawnRequest) -> SpawnError:
    with pytest.raises(SpawnError) as caught:
        start(request)
    return caught.value


def test_request_without_special_wishes_goes_by_vfork() -> None:
    assert not SpawnRequest(("true",), {}, working_dir="/", umask=0).needs_fork


@both_ways
@pytest.mark.parametrize("code", [0, 1, 127, 255])
def test_exit_code_arrives(way: str, code: int) -> None:
    assert run(make_request("sh", "-c", f"exit {code}", way=way)) == (code, "")


@both_ways
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("true", "a\0b"), "a NUL is in it"),
        (("true", "\ud800"), "half a surrogate pair is no text"),
    ],
    ids=["NUL", "surrogate"],
)
def test_what_the_kernel_cannot_be_given_is_a_sentence(
    way: str, words: tuple[str, ...], reason: str
) -> None:
    refused = refusal(make_request(*words, way=way))

    assert (refused.stage, refused.errno) == ("exec", errno.EINVAL)
    assert refused.message == f"cannot execute 'true': {reason}"


@both_ways
def test_what_has_no_name_is_not_there(way: str) -> None:
    refused = refusal(make_request("", way=way))

    assert refused.errno == errno.ENOENT
    assert refused.message == "cannot execute '': its name is empty"


@both_ways
def test_death_by_signal_arrives(way: str) -> None:
    assert run(make_request("sh", "-c", "kill -9 $$", way=way)) == (-9, "")


@both_ways
def test_arguments_arrive_as_they_are(way: str) -> None:
    argv = ("cat", "", "two words", "'", "\n", "ä", "\udcff", "-")

    with held(make_request(*argv[:1], "-", *argv[1:], way=way)) as pid:
        found = Path(f"/proc/{pid}/cmdline").read_bytes()

    assert found == b"\0".join([b"cat", b"-", *map(os.fsencode, argv[1:])]) + b"\0"


@both_ways
def test_environment_is_the_requests_and_nothing_else(way: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "EMPTY": "", "ODD": "a=b\nc \udcff"}

    with held(make_request("cat", way=way, environment=environment)) as pid:
        assert procfs.environment(pid) == environment


@both_ways
def test_program_is_found_on_the_path_of_its_own_environment(way: str, tmp_path: Path) -> None:
    program = tmp_path / "greet"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    environment = {"PATH": f"/nowhere:{tmp_path}"}

    assert run(make_request("greet", way=way, environment=environment)) == (0, "hello\n")


@both_ways
def test_without_a_path_the_usual_places_are_searched(way: str) -> None:
    assert run(make_request("true", way=way, environment={})) == (0, "")


@both_ways
def test_first_executable_on_the_path_is_taken(way: str, tmp_path: Path) -> None:
    for name, mode in (("forbidden", 0o644), ("good", 0o755), ("later", 0o755)):
        program = tmp_path / name / "which"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho {name}\n")
        program.chmod(mode)
    path = f"{tmp_path}/forbidden:{tmp_path}/good:{tmp_path}/later"

    assert run(make_request("which", way=way, environment={"PATH": path})) == (0, "good\n")


@both_ways
def test_working_directory(way: str, tmp_path: Path) -> None:
    with held(make_request("cat", way=way, working_dir=str(tmp_path))) as pid:
        assert os.readlink(f"/proc/{pid}/cwd") == str(tmp_path)


@both_ways
def test_program_is_looked_up_in_the_working_directory(way: str, tmp_path: Path) -> None:
    program = tmp_path / "here"
    program.write_text("#!/bin/sh\necho here\n")
    program.chmod(0o755)

    assert run(make_request("./here", way=way, working_dir=str(tmp_path))) == (0, "here\n")


@both_ways
@pytest.mark.parametrize("umask", [0o000, 0o027, 0o777])
def test_umask(way: str, umask: int) -> None:
    with held(make_request("cat", way=way, umask=umask)) as pid:
        assert int(procfs.status(pid)["Umask"], 8) == umask


@both_ways
def test_program_leads_a_session_and_a_group_of_its_own(way: str) -> None:
    with held(make_request("cat", way=way)) as pid:
        assert line_of("ps", "-o", "pid=,pgid=,sid=,tty=", "-p", str(pid)) == [str(pid)] * 3 + ["?"]


@both_ways
def test_standard_streams_are_those_of_the_request(way: str) -> None:
    request = make_request("cat", way=way)
    stdout_read, request.stdout_fd = os.pipe2(os.O_CLOEXEC)
    stderr_read, request.stderr_fd = os.pipe2(os.O_CLOEXEC)
    expected = [os.readlink(f"/proc/self/fd/{fd}") for fd in (request.stdout_fd, request.stderr_fd)]

    with held(request) as pid:
        found = procfs.descriptors(pid)

    assert [found[1], found[2]] == expected
    for fd in (stdout_read, request.stdout_fd, stderr_read, request.stderr_fd):
        os.close(fd)


@both_ways
def test_one_descriptor_may_serve_for_two_streams(way: str) -> None:
    request = make_request("cat", way=way)
    read_fd, request.stdout_fd = os.pipe2(os.O_CLOEXEC)
    request.stderr_fd = request.stdout_fd

    with held(request) as pid:
        found = procfs.descriptors(pid)

    assert found[1] == found[2] == os.readlink(f"/proc/self/fd/{read_fd}")
    os.close(read_fd)
    os.close(request.stdout_fd)


@both_ways
def test_streams_that_are_our_own_may_change_places(way: str) -> None:
    request = make_request("cat", way=way)
    request.stdout_fd, request.stderr_fd = 2, 1
    expected = [os.readlink(f"/proc/self/fd/{fd}") for fd in (2, 1)]

    with held(request) as pid:
        found = procfs.descriptors(pid)

    assert [found[1], found[2]] == expected


# -- descriptors that are nobody's business


@pytest.fixture
def left_open() -> Iterator[int]:
    """A descriptor that whoever started us left open, inheritable."""
    fd = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(fd, True)
    yield fd
    os.close(fd)


@both_ways
def test_no_descriptor_but_the_three_reaches_the_program(way: str, left_open: int) -> None:
    descriptors.keep_from_children()

    with held(make_request("cat", way=way)) as pid:
        # The dynamic loader has libraries open for a moment after the exec.
        eventually(lambda: sorted(procfs.descriptors(pid)) == [0, 1, 2])
    assert not os.get_inheritable(left_open)


@both_ways
def test_spawning_leaves_no_descriptor_open(way: str) -> None:
    before = procfs.descriptors()

    run(make_request("true", way=way))
    refusal(make_request("/nowhere", way=way))

    assert procfs.descriptors() == before


# -- signals


@pytest.fixture
def handled_as_in_pid1() -> Iterator[None]:
    """Handlers on all that PID 1 catches, terminal stops ignored."""
    before = {
        n: signal.getsignal(n)
        for n in (*signal_actions.catchable(), *signal_actions.TERMINAL_STOPS)
    }
    for number in signal_actions.catchable():
        signal.signal(number, lambda *_: None)
    signal_actions.ignore_terminal_stops()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@both_ways
@pytest.mark.usefixtures("handled_as_in_pid1")
def test_program_starts_with_default_signal_actions(way: str) -> None:
    with held(make_request("cat", way=way)) as pid:
        sets = [procfs.signal_set(pid, field) for field in ("SigIgn", "SigCgt", "SigBlk")]

    assert [found - GLIBCS_OWN for found in sets] == [set(), set(), set()]
    assert signal_actions.terminal_stops_are_ignored()


def test_fork_gives_defaults_whatever_we_ignore_and_block() -> None:
    found = spawn_elsewhere(
        "cat",
        "/proc/self/status",
        way="fork",
        ignore=[signal.SIGHUP, signal.SIGTERM, signal.SIGSEGV, signal.SIGRTMIN + 3],
        block=[signal.SIGINT, signal.SIGTERM, signal.SIGRTMIN + 1],
    )

    status = procfs.parse_status(found["stdout"])
    assert procfs.signals_in(status["SigBlk"]) == set()
    assert procfs.signals_in(status["SigIgn"]) <= GLIBCS_OWN


@both_ways
def test_handlers_are_in_force_again_after_a_spawn(way: str) -> None:
    before = {int(n): signal.getsignal(n) for n in signal.valid_signals()}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    run(make_request("true", way=way))

    assert {int(n): signal.getsignal(n) for n in signal.valid_signals()} == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked


# -- the descriptor limit


@both_ways
def test_raised_descriptor_limit_is_given_back_to_children(way: str) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    found = spawn_elsewhere(
        "sh", "-c", "ulimit -Sn; ulimit -Hn", way=way, nofile=64, raise_limit=True
    )

    assert found["stdout"].split() == ["64", str(hard)]
    assert found["nofile"] == [min(hard, 1 << 20), hard]


# -- what cannot be started


@both_ways
def test_name_that_is_not_on_the_path(way: str) -> None:
    error = refusal(make_request("no-such-program", way=way))

    assert (error.stage, error.errno) == ("exec", errno.ENOENT)
    assert error.message == "cannot execute 'no-such-program': not found in PATH"


@both_ways
def test_path_that_is_not_there(way: str) -> None:
    error = refusal(make_request("/nowhere/program", way=way))

    assert (error.stage, error.errno) == ("exec", errno.ENOENT)
    assert error.message == "cannot execute '/nowhere/program': No such file or directory"


@both_ways
def test_script_whose_interpreter_is_missing(way: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nowhere/sh\n")
    script.chmod(0o755)

    error = refusal(make_request(str(script), way=way))

    assert (error.stage, error.errno) == ("exec", errno.ENOENT)
    assert error.message == f"cannot execute '{script}': its interpreter '/nowhere/sh' is missing"


@both_ways
def test_script_with_windows_line_ends(way: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(b"#!/bin/sh\r\necho hello\r\n")
    script.chmod(0o755)

    error = refusal(make_request(str(script), way=way))

    assert error.message == (
        f"cannot execute '{script}': its #! line ends with a carriage return; "
        "save it with Unix line ends"
    )


@both_ways
def test_relative_script_is_explained_where_it_was_looked_for(way: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nowhere/sh\n")
    script.chmod(0o755)

    error = refusal(make_request("./script", way=way, working_dir=str(tmp_path)))

    assert "interpreter" in error.message


@both_ways
def test_file_that_is_not_executable(way: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.touch(mode=0o644)

    error = refusal(make_request(str(data), way=way))

    assert (error.stage, error.errno) == ("exec", errno.EACCES)
    assert error.message == f"cannot execute '{data}': it is not executable (chmod +x {data})"


@both_ways
def test_directory_in_place_of_a_program(way: str, tmp_path: Path) -> None:
    error = refusal(make_request(str(tmp_path), way=way))

    assert (error.stage, error.errno) == ("exec", errno.EACCES)
    assert error.message == f"cannot execute '{tmp_path}': it is a directory"


@both_ways
def test_file_that_is_no_program(way: str, tmp_path: Path) -> None:
    program = tmp_path / "garbage"
    program.write_bytes(b"\x00garbage")
    program.chmod(0o755)

    error = refusal(make_request(str(program), way=way))

    assert (error.stage, error.errno) == ("exec", errno.ENOEXEC)
    assert error.message == (
        f"cannot execute '{program}': Exec format error "
        "(another architecture, or a script without a #! line?)"
    )


@both_ways
def test_path_through_a_file(way: str) -> None:
    error = refusal(make_request("/etc/passwd/program", way=way))

    assert (error.stage, error.errno) == ("exec", errno.ENOTDIR)
    assert error.message == "cannot execute '/etc/passwd/program': Not a directory"


@both_ways
def test_working_directory_that_is_not_there(way: str) -> None:
    error = refusal(make_request("true", way=way, working_dir="/nowhere"))

    assert (error.stage, error.errno) == ("chdir", errno.ENOENT)
    assert error.message == "cannot change to directory '/nowhere': No such file or directory"


@both_ways
def test_program_that_is_being_written(way: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)

    with program.open("ab"):
        error = refusal(make_request(str(program), way=way))

    assert (error.stage, error.errno) == ("exec", errno.ETXTBSY)


@both_ways
def test_permission_counts_more_than_absence_on_the_path(way: str, tmp_path: Path) -> None:
    (tmp_path / "data").touch(mode=0o644)

    error = refusal(make_request("data", way=way, environment={"PATH": f"{tmp_path}:/nowhere"}))

    assert (error.stage, error.errno) == ("exec", errno.EACCES)


@both_ways
@pytest.mark.needs("root")
def test_no_more_processes_for_this_user(way: str) -> None:
    found = spawn_elsewhere("true", way=way, uid=54321, nproc=1)

    assert found["error"] == [
        "fork",
        errno.EAGAIN,
        (
            "cannot start a process: Resource temporarily unavailable "
            "(is a limit on processes or memory reached?)"
        ),
    ]


@both_ways
@pytest.mark.parametrize("left", [0, 1])
def test_no_more_descriptors(way: str, left: int) -> None:
    found = spawn_elsewhere("true", way=way, leave=left)

    assert found["error"][:2] == ["pipe", errno.EMFILE]
    assert found["error"][2] == (
        "cannot start a process: Too many open files (is the limit on descriptors reached?)"
    )


@both_ways
def test_refused_program_leaves_a_child_to_reap_and_nothing_else(way: str) -> None:
    before = procfs.children(os.getpid())
    request = make_request("/nowhere", way=way)

    with pytest.raises(SpawnError):
        spawn.confirm(spawn.spawn(request).confirm_fd or -1, request)

    (left,) = set(procfs.children(os.getpid())) - set(before)
    assert os.waitid(os.P_PID, left, os.WEXITED) is not None


def test_verdict_of_a_fork_is_not_inherited() -> None:
    request = make_request("true", way="fork")

    child = spawn.spawn(request)

    assert child.confirm_fd is not None
    assert fcntl.fcntl(child.confirm_fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    spawn.confirm(child.confirm_fd, request)
    os.waitpid(child.pid, 0)


def test_where_a_sandbox_forbids_to_ask_for_limits_they_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_which: int) -> tuple[int, int]:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(resource, "getrlimit", refused)

    spawn.raise_descriptor_limit()

    assert descriptors.limit() == 1024
