"""What a peer answered, against the declaration: the client's half of the checks of `interface`.

The peer at a socket may be another program.  Fields that are not declared pass,
for a newer supervise may have more; what is declared is there and of its type, or it is no answer.
"""

from __future__ import annotations

from supervise.wire import api
from supervise.wire.interface import EnumType, InvalidParameterError, check_simple
from supervise.wire.varlink import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from supervise.wire.interface import Field, Interface

    Text = Callable[[str], str]


def check_answer(method: str, values: Mapping[str, Any], text: Text) -> dict[str, Any]:
    """Return what *method* answered, each declared string as *text* returns it.

    Raises:
        ProtocolError: a field is missing or of the wrong type.
    """
    interface = _interface_of(method)
    return _checked(interface, interface.methods[method].returns, values, text)


def check_error(
    qualified: str, values: Mapping[str, Any], text: Text
) -> tuple[str, dict[str, Any]]:
    """Return the name and the parameters of the error *qualified*.

    The name is without its interface, the parameters are all there; of an error that is not
    declared the whole name is returned, and no parameters.

    Raises:
        ProtocolError: a field is missing or of the wrong type.
    """
    name, _, error = qualified.rpartition(".")
    interface = api.INTERFACES.get(name)
    if interface is None or error not in interface.errors:
        return text(qualified), {}
    return error, _checked(interface, interface.errors[error].fields, values, text)


def _interface_of(method: str) -> Interface:
    return api.SUPERVISOR if method in api.SUPERVISOR.methods else api.INTROSPECTION


def _checked(
    interface: Interface, fields: tuple[Field, ...], values: Mapping[str, Any], text: Text
) -> dict[str, Any]:
    try:
        return _fields(interface, fields, values, "", text)
    except InvalidParameterError as error:
        raise ProtocolError(f"'{error.parameter}' is not what an answer has there") from None


def _fields(
    interface: Interface,
    fields: tuple[Field, ...],
    values: Mapping[str, Any],
    path: str,
    text: Text,
) -> dict[str, Any]:
    checked = {
        field.name: _value(
            interface,
            field.type,
            values.get(field.name),
            path + field.name,
            _as_it_is if field.verbatim else text,
        )
        for field in fields
    }
    # What is absent and may be is there as None.
    return {**values, **checked}


def _value(interface: Interface, type_: str, value: Any, path: str, text: Text) -> Any:
    if type_.startswith("?"):
        return None if value is None else _value(interface, type_[1:], value, path, text)
    if type_.startswith("[]"):
        if not isinstance(value, list):
            raise InvalidParameterError(path)
        inner = type_[2:]
        return [
            _value(interface, inner, item, f"{path}[{i}]", text) for i, item in enumerate(value)
        ]
    named = interface.types.get(type_)
    if named is None:
        check_simple(type_, value, path)
        return text(value) if type_ == "string" else value
    if isinstance(named, EnumType):
        if value not in named.values:
            raise InvalidParameterError(path)
        return value
    if not isinstance(value, dict):
        raise InvalidParameterError(path)
    return _fields(interface, named.fields, value, f"{path}.", text)


def _as_it_is(text: str) -> str:
    return text
