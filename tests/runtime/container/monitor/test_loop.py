"""The monitor's loop and the far future."""

from __future__ import annotations

import os

from runtime.container.monitor.loop import READ, MonitorLoop


def test_a_timer_beyond_what_the_kernel_counts_does_not_break_the_loop() -> None:
    loop = MonitorLoop()
    seen: list[int] = []
    read_fd, write_fd = os.pipe()
    loop.watch(read_fd, READ, seen.append)
    loop.after(1e12, lambda: None)
    os.write(write_fd, b"x")

    loop.once()

    assert seen == [READ]
    loop.close()
    os.close(read_fd)
    os.close(write_fd)
