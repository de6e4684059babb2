"""PyYAML's event parser, imported without the rest of PyYAML.

``import yaml`` costs 13 ms, and 12 of them are code this project never calls: the constructors
(datetime, base64), the dumper, the resolvers' and the pure Python reader's regular expressions.
PyYAML's C parser needs only the event classes and a handful of exception types.  This module
gives it those, and falls back to the ordinary import, and to the pure Python parser, wherever
that does not work.

`nodes` is the only caller.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# What PyYAML's C module looks up when it is loaded: yaml.<module>.<class>.  The arguments of
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

_C_MODULE: ModuleType | None = None


def parser_of(text: str) -> Any:
    """Return a parser with ``check_event()`` and ``get_event()`` over *text*.

    The events are those of ``yaml.events``; both methods raise ``yaml.error.YAMLError``.
    """
    c_module = _load()
    if c_module is not None:
        return c_module.CParser(text)
    return _pure_parser(text)


def yaml_error() -> type[Exception]:
    """Return ``yaml.error.YAMLError``, the base of what the parser raises."""
    import yaml.error

    return yaml.error.YAMLError


def counts_bytes() -> bool:
    """Say whether the offset in a ReaderError counts bytes (the C parser) or characters."""
    return _load() is not None


def _load() -> ModuleType | None:
    global _C_MODULE
    if _C_MODULE is not None:
        return _C_MODULE
    _C_MODULE = sys.modules.get("yaml._yaml")
    if _C_MODULE is None and "yaml" not in sys.modules:
        _C_MODULE = _c_module()
    if _C_MODULE is None:
        import yaml  # the whole of it: an unusual PyYAML, or one without its C parser

        _C_MODULE = sys.modules.get("yaml._yaml") if yaml.__with_libyaml__ else None
    return _C_MODULE


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


def _c_module() -> ModuleType | None:
    """Return ``yaml._yaml`` loaded beside a hollow ``yaml``; None where that cannot work."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("yaml")
    if spec is None or spec.submodule_search_locations is None:
        return None
    module_type = type(sys)
    hollow: Any = module_type("yaml")
    hollow.__path__ = list(spec.submodule_search_locations)
    sys.modules["yaml"] = hollow
    try:
        import yaml.error
        import yaml.events
        import yaml.nodes
        import yaml.tokens

        marked = yaml.error.MarkedYAMLError
        for module, name in _ERROR_CLASSES:
            holder: Any = module_type(module)
            setattr(holder, name, type(name, (marked,), {}))
            setattr(hollow, module, holder)
        hollow.reader = module_type("reader")
        hollow.reader.ReaderError = _reader_error(yaml.error.YAMLError)
        import yaml._yaml as c_module
    except (ImportError, AttributeError):
        return None
    finally:
        # Whoever imports yaml later in this process gets the whole of it, C parser included.
        del sys.modules["yaml"]
    loaded: ModuleType = c_module
    return loaded


def _reader_error(base: type[Exception]) -> type[Exception]:
    """Return a class with the fields of ``yaml.reader.ReaderError``."""

    def init(self: Any, _name: str, position: int, character: int, _encoding: str, reason: str):  # type: ignore[no-untyped-def]
        self.position, self.character, self.reason = position, character, reason

    return type("ReaderError", (base,), {"__init__": init})
