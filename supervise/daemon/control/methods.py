"""From a call to the method that answers it: roles, names, parameters, introspection.

The methods themselves are in `supervise.daemon.control.queries` and `supervise.daemon.control.commands`.
"""

from __future__ import annotations

from supervise import __version__
from supervise.daemon.control.commands import Commands
from supervise.daemon.control.connection import Role
from supervise.daemon.control.queries import Queries
from supervise.daemon.control.selection import RefusalError
from supervise.wire import api, varlink
from supervise.wire.interface import InvalidParameterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervise.daemon.control.connection import ControlRequest
    from supervise.daemon.control.contract import LogReader, Operations
    from supervise.daemon.loop import Loop

OPERATORS = "root, the user supervise runs as, or a member of control.operators"
READERS = f"{OPERATORS} or control.readers"


class Methods:
    """Answers calls."""

    def __init__(self, loop: Loop, supervisor: Operations, logs: LogReader) -> None:
        queries = Queries(loop, supervisor, logs)
        commands = Commands(loop, supervisor)
        # The API's name of a method → what carries it out, with the parameters as keywords.
        self.handlers: Mapping[str, Callable[..., None]] = {
            "GetInfo": _get_info,
            "GetInterfaceDescription": _get_interface_description,
            "Status": queries.status,
            "Start": commands.start,
            "Stop": commands.stop,
            "Restart": commands.restart,
            "Reload": commands.reload,
            "Signal": commands.signal,
            "Logs": queries.logs,
            "Events": queries.events,
            "Wait": queries.wait,
            "Explain": queries.explain,
            "Apply": commands.apply,
            "Processes": queries.processes,
            "Graph": queries.graph,
            "Health": queries.health,
            "Shutdown": commands.shutdown,
            "Version": queries.version,
        }

    def dispatch(self, request: ControlRequest) -> None:
        """Answer *request*, now or later."""
        try:
            handler = self._find(request)
            handler(request, **request.parameters)
        except RefusalError as refusal:
            request.fail(refusal.error, refusal.parameters)
            if request.role == Role.NOTHING:
                request.hang_up()
        except InvalidParameterError as error:
            request.fail(varlink.INVALID_PARAMETER, {"parameter": error.parameter})

    def _find(self, request: ControlRequest) -> Callable[..., None]:
        call = request.call
        if request.role == Role.NOTHING:
            raise RefusalError(f"{api.NAME}.NotPermitted", need=READERS)
        interface = api.INTERFACES.get(call.interface)
        if interface is None:
            raise RefusalError(varlink.INTERFACE_NOT_FOUND, interface=call.interface)
        method = interface.methods.get(call.name)
        if method is None:
            raise RefusalError(varlink.METHOD_NOT_FOUND, method=call.method)
        if method.changes and request.role < Role.OPERATE:
            raise RefusalError(f"{api.NAME}.NotPermitted", need=OPERATORS)
        if call.upgrade:  # no method of ours leaves Varlink
            raise InvalidParameterError("upgrade")
        request.parameters = interface.check_call(method, call.parameters)
        return self.handlers[call.name]


def _get_info(request: ControlRequest) -> None:
    """Say who this is."""
    request.reply(
        vendor=api.VENDOR,
        product=api.PRODUCT,
        version=__version__,
        url=api.URL,
        interfaces=list(api.INTERFACES),
    )


def _get_interface_description(request: ControlRequest, *, interface: str) -> None:
    """Describe an interface."""
    if interface not in api.INTERFACES:
        raise RefusalError(varlink.INTERFACE_NOT_FOUND, interface=interface)
    request.reply(description=api.INTERFACES[interface].describe())
