"""Immutable values with named fields, without the import cost of `dataclasses`.

PID 1 is full of small values.  ``import dataclasses`` costs 18 ms and 2.8 MB, ``typing`` 12 ms
and 1.8 MB (CPython 3.11); this module costs neither.  Type checkers see an ordinary frozen
dataclass through ``dataclass_transform``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_options):
        """No-op: only type checkers read it."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True, eq_default=True)
class RecordType(type):
    """Turns annotated class fields into slots, in order, with their defaults."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> RecordType:
        """Build the class: slots and positional order from the annotations."""
        inherited = tuple(f for base in bases for f in getattr(base, "_fields", ()))
        own = tuple(namespace.get("__annotations__", ()))
        defaults: dict[str, Any] = {}
        for base in bases:
            defaults.update(getattr(base, "_defaults", {}))
        for field in own:
            if field in namespace:
                defaults[field] = namespace.pop(field)
        namespace["__slots__"] = own
        namespace["_fields"] = namespace["__match_args__"] = inherited + own
        namespace["_defaults"] = defaults
        return super().__new__(mcs, name, bases, namespace, **options)


class Record(metaclass=RecordType):
    """Base of all immutable values.

    Fields are the annotations of the class, positional or by keyword, compared and hashed by
    value within one class.  A default must be immutable: it is shared.
    """

    if TYPE_CHECKING:
        _fields: ClassVar[tuple[str, ...]]
        _defaults: ClassVar[dict[str, Any]]
    else:
        _fields = ()
        _defaults = {}

    # The explicit signature would hide the fields that dataclass_transform gives to checkers.
    if not TYPE_CHECKING:

        def __init__(self, *args, **kwargs):
            fields = self._fields
            put = object.__setattr__
            if len(args) > len(fields):
                raise TypeError(f"{type(self).__name__} takes {len(fields)} fields")
            for field, value in zip(fields, args, strict=False):
                if field in kwargs:
                    raise TypeError(f"{type(self).__name__}: field '{field}' given twice")
                put(self, field, value)
            for field in fields[len(args) :]:
                if field in kwargs:
                    put(self, field, kwargs.pop(field))
                elif field in self._defaults:
                    put(self, field, self._defaults[field])
                else:
                    raise TypeError(f"{type(self).__name__}: field '{field}' is missing")
            if kwargs:
                raise TypeError(f"{type(self).__name__} has no field '{next(iter(kwargs))}'")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; use replace()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, f) == getattr(other, f) for f in self._fields)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, f) for f in self._fields)))

    def __repr__(self) -> str:
        inner = ", ".join(f"{f}={getattr(self, f)!r}" for f in self._fields)
        return f"{type(self).__name__}({inner})"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with *changes* applied; raises TypeError on an unknown field."""
        for field in self._fields:
            if field not in changes:
                changes[field] = getattr(self, field)
        return type(self)(**changes)

    def items(self) -> list[tuple[str, Any]]:
        """Return (field, value) pairs in the order of the fields."""
        return [(field, getattr(self, field)) for field in self._fields]

    def set_items(self) -> list[tuple[str, Any]]:
        """Return the (field, value) pairs whose value is not the field's default."""
        return [
            (field, value)
            for field, value in self.items()
            if field not in self._defaults or value != self._defaults[field]
        ]
