"""Reads the files of a configuration: directories, includes, env files.

Every file once, however often it is named; what cannot be read is a problem with a place.
`load` is the caller.
"""

from __future__ import annotations

import errno
import os
import stat

from supervise.config import digest, search
from supervise.config.yaml import envfile
from supervise.config.yaml.decoder import Decoder
from supervise.config.yaml.nodes import Sequence
from supervise.config.yaml.services import MAX_FILE_BYTES, decode_file
from supervise.linux import directory
from supervise.model.errors import Problem
from supervise.model.service import ConfigurationSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from supervise.config.problems import Problems
    from supervise.config.yaml.keys.shapes import Table
    from supervise.config.yaml.nodes import YamlNode

    EnvFile = dict[str, str | None]

_MAGIC = frozenset("*?[")


class SourceDocument:
    """One file that could be decoded."""

    def __init__(self, file: str, table: Table) -> None:
        self.file = file
        self.table = table


class SourceReader:
    """Reads files, once each, and remembers what the plan will depend on."""

    def __init__(self, environ: Mapping[str, str], cwd: str, problems: Problems) -> None:
        self.decoder = Decoder(environ, problems)
        self.cwd = cwd
        self.documents: list[SourceDocument] = []
        self.sources: dict[tuple[str, str], ConfigurationSource] = {}
        self.read: set[str] = set()  # real paths
        self.stack: list[str] = []  # real paths of the files that include each other
        self.env_files: dict[str, EnvFile] = {}

    def read_root(self, path: str) -> None:
        """Read what the user named: a file, or a directory's ``*.yaml``."""
        if os.path.isdir(os.path.join(self.cwd, path)):
            self._read_directory(path, None)
        else:
            self._read_file(path, None)

    def _read_directory(self, path: str, include: YamlNode | None) -> None:
        try:
            names = search.listing(os.path.join(self.cwd, path))
        except OSError as error:
            self._unreadable(path, error, include)
            return
        self.add_source(path, digest.of_names(names), "directory")
        if not names and include is None:
            what, hint = "the directory holds no *.yaml file", "add one, or name a file with -c"
            self.decoder.problems.report(Problem(path, 0, 0, "", what, hint))
        for name in names:
            self._read_file(os.path.join(path, name), include)

    def _read_file(self, path: str, include: YamlNode | None) -> None:
        real = os.path.realpath(os.path.join(self.cwd, path))
        if real in self.stack:
            names = [os.path.basename(p) for p in (*self.stack[self.stack.index(real) :], real)]
            assert include is not None
            self.decoder.problem(
                include,
                "include",
                f"the files include each other: {' -> '.join(names)}",
                "remove one of the includes",
            )
            return
        if real in self.read:
            return
        self.read.add(real)
        self.decoder.problems.read(path)
        data = self._bytes(path, include)
        if data is None:
            return
        self.add_source(path, digest.of_bytes(data), "yaml")
        table = decode_file(self.decoder, data, path)
        if table is None:
            return
        self.documents.append(SourceDocument(path, table))
        self.stack.append(real)
        self._include(path, table)
        self.stack.pop()

    def _include(self, path: str, table: Table) -> None:
        if "include" not in table:
            return
        node = table.place("include")
        nodes = node.items if isinstance(node, Sequence) else [node]
        for pattern, place in zip(table["include"], nodes, strict=True):
            target = os.path.join(os.path.dirname(path), pattern)
            if not _MAGIC.isdisjoint(pattern):
                self._include_pattern(target, place)
            elif os.path.isdir(os.path.join(self.cwd, target)):
                self._read_directory(target, place)
            else:
                self._read_file(target, place)

    def _include_pattern(self, pattern: str, place: YamlNode) -> None:
        full = search.absolute(pattern, self.cwd)
        matches = search.matches(full)
        self.add_source(pattern, digest.of_names(matches), "glob")
        # As the user knows them: relative where the pattern is.
        cut = 0 if pattern.startswith("/") else len(full) - len(os.path.normpath(pattern))
        for match in matches:
            self._read_file(match[cut:], place)

    def _bytes(self, path: str, include: YamlNode | None) -> bytes | None:
        try:
            with _opened(os.path.join(self.cwd, path)) as file:
                return file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            self._unreadable(path, error, include)
            return None

    def _unreadable(self, path: str, error: OSError, include: YamlNode | None) -> None:
        what = f"cannot read '{path}': {error.strerror}"
        if include is not None:
            self.decoder.problem(include, "include", what, "a pattern such as *.yaml may be empty")
        else:
            hint = "name an existing file with -c" if isinstance(error, FileNotFoundError) else ""
            self.decoder.problems.report(Problem(path, 0, 0, "", what, hint))

    def add_source(self, path: str, value: str, kind: str) -> None:
        """Note that the plan depends on *path*: its digest, or "" when it is not there."""
        full = search.absolute(path, self.cwd)
        self.sources.setdefault((full, kind), ConfigurationSource(full, value, kind))

    def environments(self, document: SourceDocument, table: Table, path: str) -> list[EnvFile]:
        """Return the variables of the env files of the service at *path*, in order."""
        if "env_file" not in table:
            return []
        node = table.place("env_file")
        nodes = node.items if isinstance(node, Sequence) else [node]
        directory = os.path.dirname(document.file)
        return [
            self._environment(os.path.join(directory, file), place, path, required=required)
            for (file, required), place in zip(table["env_file"], nodes, strict=True)
        ]

    def _environment(self, path: str, place: YamlNode, service: str, *, required: bool) -> EnvFile:
        if path in self.env_files:
            return self.env_files[path]
        try:
            with _opened(os.path.join(self.cwd, path)) as file:
                data = file.read(MAX_FILE_BYTES)
        except OSError as error:
            if required or not isinstance(error, FileNotFoundError):
                what = f"cannot read '{path}': {error.strerror}"
                hint = "create it, or write {path: ..., required: false}"
                self.decoder.problem(place, f"{service}.env_file", what, hint)
            self.add_source(path, "", "env_file")
            return {}
        self.add_source(path, digest.of_bytes(data), "env_file")
        self.decoder.problems.read(path)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - data.rfind(b"\n", 0, error.start)
            what = f"the byte 0x{data[error.start]:02x} is not UTF-8"
            self.decoder.problems.report(
                Problem(path, line, column, "", what, "save the file as UTF-8")
            )
            return {}
        self.env_files[path] = envfile.parse(self.decoder, text, path)
        return self.env_files[path]


def _opened(path: str) -> BinaryIO:
    """Open a file for reading; never wait for somebody who may never come to write it.

    A pipe of ours that is named as such is read to its end: ``<(command)`` of a shell, /dev/stdin.
    No link leads there, for somebody else's pipe or terminal may lie behind it.

    Raises:
        OSError: it cannot be opened, or it is neither a regular file nor such a pipe.
    """
    fd = directory.open_for_reading(path)
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode) and _names_our_descriptor(path):
        os.set_blocking(fd, True)  # opened anew: nobody shares the flag
    elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        os.close(fd)
        what = "a named pipe, which may never end" if stat.S_ISFIFO(mode) else "no regular file"
        raise OSError(errno.EINVAL, f"it is {what}", path)
    try:
        return open(fd, "rb")
    except OSError:  # a directory
        os.close(fd)
        raise


def _names_our_descriptor(path: str) -> bool:
    """Return whether *path* says by its text that it is one of our own open files."""
    above, name = os.path.split(path)
    return path == "/dev/stdin" or (above in {"/dev/fd", "/proc/self/fd"} and name.isdigit())
