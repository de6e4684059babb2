"""What a container gets unless it asks for something else: Docker's defaults, as data.

Sources: moby's oci/defaults.go and profiles/, and what `docker run` of Debian's docker.io shows
from inside.
"""

from __future__ import annotations

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The bounding set; without CAP_.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID"),
    *("SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)

# Files look empty, directories too; what a kernel does not have is passed over.
MASKED_PATHS = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys"),
    *("/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list"),
    *("/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"),
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

# (name below /dev, major, minor): character devices that everybody may use.
DEVICES = (
    *(("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9)),
    ("tty", 5, 0),
)
DEVICE_LINKS = (
    *(("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1")),
    *(("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx")),
)
# What the devices cgroup lets through, in its own words (devices.allow of cgroup v1).
DEVICE_RULES = (
    *("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm"),
    *("c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm"),
)

# With a network of its own a container may use low ports and ping without a capability.
NETWORK_SYSCTLS = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}

# A soft limit that `select` and programs that close every descriptor can live with; the hard one
# lets those that ask have more.
NOFILE = (1024, 524288)

STOP_SIGNAL = 15
STOP_TIMEOUT = 10.0  # seconds before SIGKILL
# --userns mapped: the container's ids 0 to 65535 are these on the host.  Above what adduser(8) and
# systemd-nspawn give away; the same for every container, as with Docker's userns-remap.
MAPPED_FIRST = 1_879_048_192
MAPPED_COUNT = 65_536

DETACH_KEYS = "ctrl-p,ctrl-q"
SHM_SIZE = 64 * 1024 * 1024
