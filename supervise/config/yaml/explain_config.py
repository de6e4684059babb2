"""A Plan → the text of a supervise.yaml that says everything, defaults included.

What it prints loads again to the same services and settings.  `commands` is the caller.
"""

from __future__ import annotations

from supervise.config.yaml.keys.schema import SERVICE, TOP
from supervise.config.yaml.keys.sections import CONTROL, LOG_DEFAULTS, SHUTDOWN
from supervise.config.yaml.scalars import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervise.model.service import Plan, ServiceSpec

_PLAIN_START = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/")
_PLAIN = _PLAIN_START | frozenset("-.+@=")
_WIDTH = 88


def explain(plan: Plan) -> str:
    """Return *plan* as YAML."""
    top: dict[str, Any] = {
        "shutdown": {"grace": SHUTDOWN.keys["grace"].kind.encode(plan.grace)},
        "exit": TOP.keys["exit"].kind.encode(plan.exit_policy),
        "logs": {"format": LOG_DEFAULTS.keys["format"].kind.encode(plan.log_format)},
    }
    control = CONTROL.encode(plan.control)
    if plan.control.socket is not None or plan.control.operators or plan.control.readers:
        top["control"] = control
    top["services"] = {name: _service(spec) for name, spec in plan.services.items()}
    return "\n".join(_block(top, 0)) + "\n"


def _service(spec: ServiceSpec) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, key in SERVICE.keys.items():
        if name in {"profiles", "env_file"}:
            continue  # done with: the service is in the plan, the files are in its environment
        value = getattr(spec, name)
        if name == "start_timeout" and spec.ready is None:
            continue
        if name == "logs":
            values[name] = _logs(key.kind.encode(value))
        elif value is not None or name == "start_limit":
            values[name] = key.kind.encode(value)
    return values


def _logs(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only means something with a file, where there is none."""
    if "file" in values:
        return values
    return {key: values[key] for key in ("format", "on_stall")}


def _block(mapping: dict[str, Any], indent: int) -> list[str]:
    """Return the lines of *mapping*; what fits on a line stands on one."""
    lines = []
    for key, value in mapping.items():
        name = " " * indent + _scalar(key, is_key=True)
        flow = _flow(value)
        if isinstance(value, dict) and value and (indent < 4 or len(name) + len(flow) > _WIDTH):
            lines.append(f"{name}:")
            lines.extend(_block(value, indent + 2))
        else:
            lines.append(f"{name}: {flow}")
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{_scalar(key, is_key=True)}: {_flow(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value)


def _scalar(value: Any, *, is_key: bool = False) -> str:
    """Return *value* so that it reads back as the same; keys are not interpolated, values are."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    text = value if is_key else value.replace("$", "$$")
    plain = text[:1] in _PLAIN_START and _PLAIN.issuperset(text) and isinstance(resolve(text), str)
    return text if plain else f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    """Return *character* for a double-quoted scalar.

    YAML cannot say what stands for a byte that is not UTF-8, in a variable's value: it is shown
    as the replacement character.
    """
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    number = ord(character)
    return "\ufffd" if 0xD800 <= number < 0xE000 else f"\\U{number:08x}"
