"""What the launcher hears of a child that fails."""

from __future__ import annotations

import socket

from runtime.container.start import init, launch


def test_the_last_words_of_a_child_that_did_not_listen_any_more_are_heard() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(init.GO)
    theirs.send(b"cannot mount")
    theirs.close()

    with ours:
        assert launch.hear(ours) == (b"cannot mount", [])
        assert launch.hear(ours) == (b"", [])
