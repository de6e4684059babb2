"""Signal names and numbers, as people write them in configuration files and on command lines."""

from __future__ import annotations

from supervise.model.numerals import whole

# Linux numbers that are the same on every architecture Python runs containers on but mips and
# parisc.  The `signal` module has them as an enum too, but the model may not import it.
_NAMES = (
    "HUP",
    "INT",
    "QUIT",
    "ILL",
    "TRAP",
    "ABRT",
    "BUS",
    "FPE",
    "KILL",
    "USR1",
    "SEGV",
    "USR2",
    "PIPE",
    "ALRM",
    "TERM",
    "STKFLT",
    "CHLD",
    "CONT",
    "STOP",
    "TSTP",
    "TTIN",
    "TTOU",
    "URG",
    "XCPU",
    "XFSZ",
    "VTALRM",
    "PROF",
    "WINCH",
    "IO",
    "PWR",
    "SYS",
)
SIGNALS: dict[str, int] = {f"SIG{name}": number for number, name in enumerate(_NAMES, start=1)}
_BY_NUMBER = {number: name for name, number in SIGNALS.items()}
SIGNALS["SIGPOLL"] = SIGNALS["SIGIO"]
SIGNALS["SIGIOT"] = SIGNALS["SIGABRT"]
SIGNALS["SIGCLD"] = SIGNALS["SIGCHLD"]
SIGRTMIN, SIGRTMAX = 34, 64  # as glibc and musl leave them to programs


def signal_name(number: int) -> str:
    """Return ``SIGTERM`` for 15, ``SIGRTMIN+3`` for 37, ``signal 99`` for what has no name."""
    if number in _BY_NUMBER:
        return _BY_NUMBER[number]
    if SIGRTMIN <= number <= SIGRTMAX:
        return f"SIGRTMIN+{number - SIGRTMIN}" if number > SIGRTMIN else "SIGRTMIN"
    return f"signal {number}"


def signal_number(text: str) -> int | None:
    """Return the number for ``SIGTERM``, ``term``, ``15``, ``SIGRTMIN+3``; None if unknown."""
    text = text.strip().upper()
    number = whole(text)
    if number is not None:
        return number if 1 <= number <= SIGRTMAX else None
    if not text.startswith("SIG"):
        text = f"SIG{text}"
    for base, start, sign in (("SIGRTMIN", SIGRTMIN, 1), ("SIGRTMAX", SIGRTMAX, -1)):
        if text == base:
            return start
        offset = whole(text[len(base) + 1 :])
        if text.startswith(base) and text[len(base)] in "+-" and offset is not None:
            number = start + sign * offset
            in_range = SIGRTMIN <= number <= SIGRTMAX and text[len(base)] == "-+"[sign > 0]
            return number if in_range else None
    return SIGNALS.get(text)
