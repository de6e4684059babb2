"""Return which kind of file system an open file is on; see statfs(2).

By descriptor, because a path may lead elsewhere between the question and the use.
"""

from __future__ import annotations

from supervise.linux import prctl

# include/uapi/linux/magic.h
PROC = 0x9FA0
SYSFS = 0x62656572
DEVPTS = 0x1CD1
MQUEUE = 0x19800202
CGROUP = 0x27E0EB
CGROUP2 = 0x63677270
TMPFS = 0x01021994
PROC_ROOT_INODE = 1  # of every procfs


def kind(fd: int) -> int:
    """Return the magic number of the file system that *fd*, which may be O_PATH, is on."""
    import ctypes

    found = (ctypes.c_long * 32)()  # struct statfs and more; its first word is f_type
    prctl.check(prctl.libc().fstatfs(fd, found), "fstatfs")
    return int(found[0]) & 0xFFFFFFFF
