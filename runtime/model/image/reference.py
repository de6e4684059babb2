"""Names of images as docker reads them: ``[domain[:port]/]path[:tag][@digest]``.

A familiar name is short for a full one: ``debian`` is ``docker.io/library/debian:latest``.  The
grammar is that of github.com/distribution/reference.  Which images there are is
`runtime.store.images`' business.
"""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from supervise.model.record import Record
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_OFFICIAL = "library/"
_LONGEST_NAME = 255  # domain and path together
_LONGEST_TAG = 128
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_ALNUM = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_WORD = _ALNUM | {"_"}


class Reference(Record):
    """One image name, complete.  A name with a digest alone has no tag."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Return domain and path: the repository."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """Return the repository as a person writes it: ``debian``, ``quay.io/x/y``."""
        if self.domain != DEFAULT_DOMAIN or _is_domain(self.path.partition("/")[0]):
            return self.name
        rest = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in rest else rest

    def __str__(self) -> str:
        return self.name + self._suffix()

    @property
    def familiar(self) -> str:
        """Return the whole reference as a person writes it, the tag always shown."""
        return self.familiar_name + self._suffix()

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{tag}@{self.digest}" if self.digest else tag


def parse(text: str) -> Reference:
    """Return the complete reference that *text* means.

    Raises:
        RuntimeFailure: it is not a name an image can have; says which part, and why.
    """
    rest, _, digest = text.partition("@")
    if "@" in text and not digests.is_digest(digest):
        raise _refused(text, f"'{digest}' is not 'sha256:' and 64 hexadecimal digits")
    name, tag = _split_tag(rest)
    if not name:
        raise _refused(text, "it is empty" if not text else "the repository is missing")
    if tag is not None and not is_tag(tag):
        rule = "a tag has letters, digits, '_', '.', '-', at most 128, and starts with none of '.-'"
        raise _refused(text, f"'{tag}' is not a tag: {rule}")
    domain, path = _split_domain(name)
    _check_domain(text, domain)
    _check_path(text, path)
    if len(domain) + len(path) >= _LONGEST_NAME:
        raise _refused(text, f"it has more than {_LONGEST_NAME} characters")
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = _OFFICIAL + path
    return Reference(domain, path, tag or ("" if digest else DEFAULT_TAG), digest)


def parse_tagged(text: str) -> Reference:
    """Return the reference of a name to give to an image: it has a tag and no digest.

    Raises:
        RuntimeFailure: as `parse`, or *text* names a digest.
    """
    found = parse(text)
    if found.digest:
        raise _refused(text, "a digest cannot be given as a name; it follows from the content")
    if len(found.familiar_name) == 64 and digests.is_hex(found.familiar_name):
        raise _refused(text, "64 hexadecimal digits would be taken for an image id")
    return found


def unknown_image(text: str, known: Iterable[str]) -> RuntimeFailure:
    """Return what to tell a person who named an image that is not there.

    *known* are full references (``docker.io/library/debian:latest``).
    """
    try:
        wanted = parse(text)
    except RuntimeFailure as error:
        return error
    tagged = [parse(name) for name in known if "@" not in name]
    tags = [found.tag for found in tagged if found.name == wanted.name]
    if tags and wanted.tag:
        near = closest(wanted.tag, tags)
        hint = f'did you mean "{near}"?' if near else f"there is {listed(tags)}"
        return RuntimeFailure(f'no tag "{wanted.tag}" of {wanted.familiar_name}', hint)
    near = closest(wanted.familiar, [found.familiar for found in tagged])
    near = near or closest(wanted.familiar_name, [found.familiar_name for found in tagged])
    if near:
        return RuntimeFailure(f"no such image: {text}", f'did you mean "{near}"?')
    names = sorted({found.familiar for found in tagged})
    hint = f"there is {listed(names)}" if names else "there is no image but 'host', this machine"
    return RuntimeFailure(f"no such image: {text}", hint)


def listed(names: Iterable[str], *, at_most: int = 8) -> str:
    """Return *names* sorted, quoted and joined, the end cut when there are many."""
    quoted = [f'"{name}"' for name in sorted(names)]
    if len(quoted) > at_most:
        quoted[at_most:] = [f"{len(quoted) - at_most} more"]
    return ", ".join(quoted)


def _split_tag(text: str) -> tuple[str, str | None]:
    """Return (name, tag or None); a colon before a slash belongs to a port."""
    colon = text.rfind(":")
    if colon < 0 or "/" in text[colon:]:
        return text, None
    return text[:colon], text[colon + 1 :]


def _split_domain(name: str) -> tuple[str, str]:
    """Return (domain, path) by docker's rule: a domain has a dot, a colon, or capitals."""
    first, slash, rest = name.partition("/")
    if not slash or not _is_domain(first):
        return DEFAULT_DOMAIN, name
    return (DEFAULT_DOMAIN if first == "index.docker.io" else first), rest


def _is_domain(first: str) -> bool:
    """Return whether what stands before the first slash is a registry's host."""
    return "." in first or ":" in first or first == "localhost" or first.lower() != first


def _check_domain(text: str, domain: str) -> None:
    host, colon, port = domain.rpartition(":") if not domain.endswith("]") else (domain, "", "")
    host = host if colon else domain
    if colon and not (port.isascii() and port.isdecimal()):
        raise _refused(text, f"'{port}' is not a port")
    if host.startswith("[") and host.endswith("]"):
        if not set(host[1:-1]) <= set("0123456789abcdefABCDEF:"):
            raise _refused(text, f"'{host}' is not an IPv6 address")
        return
    for part in host.split("."):
        if not part or not set(part) <= _ALNUM | {"-"} or "-" in (part[0], part[-1]):
            raise _refused(text, f"'{domain}' is not a registry's host name")


def _check_path(text: str, path: str) -> None:
    for part in path.split("/"):
        if not part:
            raise _refused(text, "there is nothing between two slashes or at the end")
        if part.lower() != part:
            hint = f"did you mean '{text.replace(path, path.lower())}'?"
            raise _refused(text, "repository names are lower case", hint)
        if not _is_path_component(part):
            rule = "letters and digits, and between them one '.', '_' or '__', or any number of '-'"
            raise _refused(text, f"'{part}' is not a repository name: it has {rule}")


def _is_path_component(part: str) -> bool:
    between = ""
    for letter in f"{part}":
        if letter in _LOWER:
            if between not in ("", ".", "_", "__") and between.strip("-"):
                return False
            between = ""
        elif letter in "._-":
            between += letter
        else:
            return False
    return not between and part[0] in _LOWER


def is_tag(tag: str) -> bool:
    """Return whether *tag* is one by docker's grammar."""
    return 0 < len(tag) <= _LONGEST_TAG and tag[0] in _WORD and set(tag) <= _WORD | frozenset(".-")


def _refused(text: str, reason: str, hint: str = "") -> RuntimeFailure:
    return RuntimeFailure(f"'{text}' is not an image name: {reason}", hint)
