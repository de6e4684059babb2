"""The exit codes of `supervisectl`; the table in its documentation is made from here."""

from __future__ import annotations

DONE = 0
FAILED = 1
USAGE = 2
NOT_RUNNING = 3
NO_SUCH_SERVICE = 4
UNREACHABLE = 5
INTERRUPTED = 130  # 128 + SIGINT
PIPE_CLOSED = 141  # 128 + SIGPIPE

MEANINGS = {
    DONE: "Done.",
    FAILED: "The operation failed, or its result was not known in time.",
    USAGE: "Usage: an unknown verb or option, or a value that makes no sense.",
    NOT_RUNNING: "Something that was asked for is not running.",
    NO_SUCH_SERVICE: "There is no service of this name.",
    UNREACHABLE: "supervise cannot be reached, or does not permit this; the message says why.",
    INTERRUPTED: "Interrupted with Ctrl-C.",
    PIPE_CLOSED: "The reader of the output has gone, as `head` does.",
}
