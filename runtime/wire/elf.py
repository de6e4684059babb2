"""ELF files made to look for their libraries elsewhere: what patchelf does, as bytes → bytes.

For the injected PID 1, whose loader and libraries lie in a directory of their own.  The program's
strings move into a new loadable segment, which takes the place of a note in the program headers
(elf(5)); nothing else in the file moves.  What is loaded by nobody (symbols, debug information,
the table of sections) is left out, as strip(1) does.  64-bit files only.
"""

from __future__ import annotations

import struct

from supervise.model.record import Record

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_DT_NULL, _DT_STRTAB, _DT_STRSZ, _DT_RPATH, _DT_RUNPATH = 0, 5, 10, 15, 29
_DT_RELACOUNT, _DT_RELCOUNT = 0x6FFFFFF9, 0x6FFFFFFA  # hints: a loader does without
_DT_IGNORED = 0x6FFFEF00  # no loader knows it
_READABLE = 4
_EHDR_SIZE, _PHDR_SIZE, _DYN_SIZE = 64, 56, 16
_LARGEST_PAGE = 0x10000  # a multiple of every machine's page


class ElfError(ValueError):
    """The file is not one that can be patched; the text says why."""


class _Segment(Record):
    """One program header; the fields are elf(5)'s without their prefix."""

    kind: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int


def is_elf(data: bytes) -> bool:
    """Return whether *data* begins as an ELF file does."""
    return data[:4] == b"\x7fELF"


def interpreter(data: bytes) -> str:
    """Return the loader that the program names, empty for none."""
    order = _order(data)
    for segment in _segments(data, order):
        if segment.kind == _PT_INTERP:
            raw = data[segment.offset : segment.offset + segment.filesz]
            return raw.rstrip(b"\0").decode(errors="surrogateescape")
    return ""


def patch(data: bytes, *, rpath: str, loader: str = "") -> bytes:
    """Return *data* with *rpath* as where its libraries are and, for a program, another *loader*.

    A file without dynamic section (a static program, the loader itself) comes back as it is.

    Raises:
        ElfError: it is no such file, or has no room.
    """
    order = _order(data)
    segments = _segments(data, order)
    dynamic = next((s for s in segments if s.kind == _PT_DYNAMIC), None)
    if dynamic is None:
        return data
    entries = [
        struct.unpack_from(f"{order}QQ", data, dynamic.offset + at)
        for at in range(0, dynamic.filesz - _DYN_SIZE + 1, _DYN_SIZE)
    ]
    values = dict(reversed(entries))
    if _DT_STRTAB not in values or _DT_STRSZ not in values:
        raise ElfError("its dynamic section names no strings")
    start = _file_offset(segments, values[_DT_STRTAB])
    strings = data[start : start + values[_DT_STRSZ]]
    added = strings + rpath.encode() + b"\0"
    loader_at = len(added)
    added += loader.encode() + b"\0" if loader else b""

    data = data[: max(s.offset + s.filesz for s in segments)]
    page = max(_LARGEST_PAGE, *(s.align for s in segments if s.kind == _PT_LOAD))
    offset = -(-len(data) // page) * page
    end = max(s.vaddr + s.memsz for s in segments if s.kind == _PT_LOAD)
    vaddr = -(-end // page) * page
    size = len(added)
    segment = _Segment(_PT_LOAD, _READABLE, offset, vaddr, vaddr, size, size, page)

    out = bytearray(data)
    struct.pack_into(f"{order}Q", out, 40, 0)  # e_shoff
    struct.pack_into(f"{order}HHH", out, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    changed = _redirect(entries, vaddr, len(strings) + len(rpath.encode()) + 1, len(strings))
    for at, entry in enumerate(changed):
        struct.pack_into(f"{order}QQ", out, dynamic.offset + at * _DYN_SIZE, *entry)
    if loader:
        place = offset + loader_at, vaddr + loader_at, len(loader.encode()) + 1
        segments = [_interp(s, *place) if s.kind == _PT_INTERP else s for s in segments]
    _write_segments(out, order, _with_load(segments, segment))
    out += bytes(offset - len(out)) + added
    return bytes(out)


def _order(data: bytes) -> str:
    if not is_elf(data) or len(data) < _EHDR_SIZE:
        raise ElfError("it is no ELF file")
    if data[4] != 2:
        raise ElfError("it is not a 64-bit program")
    return "<" if data[5] == 1 else ">"


def _segments(data: bytes, order: str) -> list[_Segment]:
    (offset,) = struct.unpack_from(f"{order}Q", data, 32)
    size, count = struct.unpack_from(f"{order}HH", data, 54)
    if size != _PHDR_SIZE or offset + size * count > len(data):
        raise ElfError("its program headers are not where they should be")
    return [
        _Segment(*struct.unpack_from(f"{order}IIQQQQQQ", data, offset + at * size))
        for at in range(count)
    ]


def _file_offset(segments: list[_Segment], vaddr: int) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and 0 <= vaddr - segment.vaddr < segment.filesz:
            return segment.offset + vaddr - segment.vaddr
    raise ElfError("its strings are in no segment")


def _redirect(
    entries: list[tuple[int, ...]], strtab: int, strsz: int, rpath_at: int
) -> list[tuple[int, int]]:
    """Return the dynamic section with the new strings and one DT_RPATH."""
    changed: list[tuple[int, int]] = []
    for tag, value in entries:
        if tag == _DT_STRTAB:
            changed.append((tag, strtab))
        elif tag == _DT_STRSZ:
            changed.append((tag, strsz))
        elif tag in (_DT_RPATH, _DT_RUNPATH):
            changed.append((_DT_IGNORED, value))
        else:
            changed.append((tag, value))
    tags = [tag for tag, _ in changed]
    end = tags.index(_DT_NULL)
    for expendable in (_DT_IGNORED, _DT_RELACOUNT, _DT_RELCOUNT):
        if expendable in tags[:end]:
            changed[tags.index(expendable)] = (_DT_RPATH, rpath_at)
            return changed
    if end + 1 >= len(changed):  # the last one must stay
        raise ElfError("its dynamic section has no room")
    changed[end] = (_DT_RPATH, rpath_at)
    return changed


def _interp(segment: _Segment, offset: int, vaddr: int, size: int) -> _Segment:
    return segment.replace(offset=offset, vaddr=vaddr, paddr=vaddr, filesz=size, memsz=size)


def _with_load(segments: list[_Segment], segment: _Segment) -> list[_Segment]:
    """Put *segment* behind the last PT_LOAD, in place of a note: loaders want them in order."""
    notes = [index for index, each in enumerate(segments) if each.kind == _PT_NOTE]
    if not notes:
        raise ElfError("it has no note to make room of")
    kept = [each for index, each in enumerate(segments) if index != notes[-1]]
    last = max(index for index, each in enumerate(kept) if each.kind == _PT_LOAD)
    return [*kept[: last + 1], segment, *kept[last + 1 :]]


def _write_segments(out: bytearray, order: str, segments: list[_Segment]) -> None:
    (offset,) = struct.unpack_from(f"{order}Q", out, 32)
    for index, segment in enumerate(segments):
        fields = [value for _, value in segment.items()]
        struct.pack_into(f"{order}IIQQQQQQ", out, offset + index * _PHDR_SIZE, *fields)
