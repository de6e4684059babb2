"""PyYAML's event parser, imported without the rest of PyYAML.

``import yaml`` costs 13 ms, and 12 of them are code this project never calls: the constructors
(datetime, base64), the dumper, the resolvers' and the pure Python reader's regular expressions.
PyYAML's C parser needs only the event classes and a handful of exception types.  This module
gives it those, and falls back to the ordinary import, and to the pure Python parser, wherever
that does not work.  Whoever imports yaml later in the same process gets a complete PyYAML, but
for one thing: its C module is initialised once only, so ``yaml.CSafeLoader`` raises errors of the
classes made here.

`nodes` is the only caller.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# What PyYAML's C module looks up when it is loaded: yaml.<module>.<class>.  The fields of
# ReaderError are its own; all the others are MarkedYAMLErrors.
_ERROR_CLASSES = (
    ("scanner", "ScannerError"),
    ("parser", "ParserError"),
    ("composer", "ComposerError"),
    ("constructor", "ConstructorError"),
    ("emitter", "EmitterError"),
    ("serializer", "SerializerError"),
    ("representer", "RepresenterError"),
)


class Backend:
    """A parser, the base class of what it raises, and how it counts."""

    def __init__(self, module: ModuleType | None, error: type[Exception]) -> None:
        self.module = module  # the C parser's; None is the pure Python parser
        self.error = error
        # The offset in a ReaderError counts bytes in the C parser, characters in the other.
        self.counts_bytes = module is not None

    def parser(self, text: str) -> Any:
        """Return an object with ``check_event()`` and ``get_event()`` over *text*."""
        return _pure_parser(text) if self.module is None else self.module.CParser(text)


_backend: Backend | None = None


def backend() -> Backend:
    """Return the parser to use, the same at every call."""
    global _backend
    if _backend is None:
        _backend = (None if "yaml" in sys.modules else lean()) or ordinary()
    return _backend


def use(chosen: Backend) -> None:
    """Use *chosen* from now on."""
    global _backend
    _backend = chosen


def ordinary(*, pure: bool = False) -> Backend:
    """Return the parser of an ordinary ``import yaml``, with *pure* never the C one."""
    import yaml

    module = sys.modules.get("yaml._yaml") if yaml.__with_libyaml__ and not pure else None
    return Backend(module, yaml.YAMLError)


def _pure_parser(text: str) -> Any:
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class PureParser(Reader, Scanner, Parser):
        def __init__(self) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)

    return PureParser()


def lean() -> Backend | None:
    """Return the C parser, loaded with a hollow ``yaml``; None where that cannot work."""
    found = (finder.find_spec("yaml", None) for finder in sys.meta_path)
    spec = next(filter(None, found), None)
    if spec is None or spec.submodule_search_locations is None:
        return None
    module_type = type(sys)
    hollow: Any = module_type("yaml")
    hollow.__path__ = list(spec.submodule_search_locations)
    sys.modules["yaml"] = hollow
    try:
        for name in ("error", "events", "nodes", "tokens"):
            __import__(f"yaml.{name}")
        _add_error_classes(hollow)
        import yaml._yaml as c_module
    except (ImportError, AttributeError):
        return None
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "yaml"]:
            del sys.modules[name]
    return Backend(c_module, hollow.error.YAMLError)


def _add_error_classes(hollow: Any) -> None:
    module_type = type(sys)
    for module, name in _ERROR_CLASSES:
        holder: Any = module_type(module)
        setattr(holder, name, type(name, (hollow.error.MarkedYAMLError,), {}))
        setattr(hollow, module, holder)
    hollow.reader = module_type("reader")
    hollow.reader.ReaderError = type(
        "ReaderError", (hollow.error.YAMLError,), {"__init__": _reader_error}
    )


def _reader_error(
    self: Any, _name: str, position: int, character: int, _encoding: str, reason: str
) -> None:
    """Initialise a ReaderError: the fields of ``yaml.reader.ReaderError`` that `nodes` reads."""
    self.position, self.character, self.reason = position, character, reason
