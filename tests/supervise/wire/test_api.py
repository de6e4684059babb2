"""The declared interface is consistent, and other implementations can read it."""

from __future__ import annotations

import re

import pytest
import varlink

from supervise.wire import api
from supervise.wire.interface import EnumType, Field, Interface

SIMPLE = {"bool", "int", "float", "string", "object"}


def fields_of(interface: Interface) -> list[Field]:
    structs = [t for t in interface.types.values() if not isinstance(t, EnumType)]
    found = [field for struct in structs for field in struct.fields]
    for method in interface.methods.values():
        found += [*method.parameters, *method.returns]
    return found + [field for error in interface.errors.values() for field in error.fields]


@pytest.mark.parametrize("interface", api.INTERFACES.values(), ids=lambda i: i.name)
def test_every_type_is_simple_or_declared(interface: Interface) -> None:
    undeclared = [
        field.type
        for field in fields_of(interface)
        if re.sub(r"^(\?|\[\]|\[string\])*", "", field.type) not in SIMPLE | set(interface.types)
    ]

    assert undeclared == []


@pytest.mark.parametrize("interface", api.INTERFACES.values(), ids=lambda i: i.name)
def test_pypi_varlink_reads_the_description(interface: Interface) -> None:
    parsed = varlink.Interface(interface.describe())

    assert parsed.name == interface.name
    members = [*interface.types, *interface.methods, *interface.errors]
    assert list(parsed.members) == members
    for name, method in interface.methods.items():
        assert list(parsed.members[name].in_type.fields) == [f.name for f in method.parameters]
        assert list(parsed.members[name].out_type.fields) == [f.name for f in method.returns]


@pytest.mark.parametrize("interface", api.INTERFACES.values(), ids=lambda i: i.name)
def test_names_follow_varlinks_grammar(interface: Interface) -> None:
    members = [*interface.types, *interface.methods, *interface.errors]
    enums = [t for t in interface.types.values() if isinstance(t, EnumType)]
    words = [f.name for f in fields_of(interface)] + [v for e in enums for v in e.values]

    assert [m for m in members if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", m)] == []
    assert [w for w in words if not re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*", w)] == []


def test_everything_is_documented() -> None:
    members = [
        member
        for interface in api.INTERFACES.values()
        for group in (interface.types, interface.methods, interface.errors)
        for member in group.values()
    ]

    assert [member.name for member in members if not member.doc.endswith((".", "?"))] == []


def test_what_readers_may_call_changes_nothing() -> None:
    changing = {name for name, method in api.SUPERVISOR.methods.items() if method.changes}

    assert changing == {"Start", "Stop", "Restart", "Reload", "Signal", "Apply", "Shutdown"}
