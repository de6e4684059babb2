"""The layers of an image on their way, several at a time; the first failure ends all.

Threads, for what they do is wait for the network and let C code hash and unpack.
"""

from __future__ import annotations

import threading
from collections import deque

from runtime.registry.problems import StoppedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_HEARD = 0.5  # seconds: a Ctrl-C in the instant before a wait is heard when the wait ends


class Workers:
    """Calls *work* for each item in a few threads; *stop* makes the calls under way end soon."""

    def __init__(self, name: str, work: Callable[[Any], None], stop: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._stop = stop
        self._waiting: deque[Any] = deque()
        self._running = 0
        self._failure: BaseException | None = None
        self._changed = threading.Condition()

    def run(self, items: Iterable[Any], parallel: int) -> None:
        """Return when all *items* are done, at most *parallel* at a time, the first ones first.

        Raises:
            BaseException: the first failure of a call, or what interrupted the wait; no call is
                under way any more.
        """
        self._waiting.extend(items)
        self._running = min(parallel, len(self._waiting))
        threads = [
            threading.Thread(target=self._loop, name=f"{self._name}-{number}", daemon=True)
            for number in range(self._running)
        ]
        for thread in threads:
            thread.start()
        try:
            with self._changed:
                while self._running:
                    self._changed.wait(_HEARD)
        except BaseException:
            self._end()
            raise
        finally:
            for thread in threads:
                thread.join()
        if self._failure is not None:
            raise self._failure

    def _end(self) -> None:
        with self._changed:
            self._waiting.clear()
        self._stop()

    def _loop(self) -> None:
        try:
            while True:
                with self._changed:
                    if not self._waiting:
                        break
                    item = self._waiting.popleft()
                self._work(item)
        except BaseException as error:  # noqa: BLE001 - raised again by `run`, in its thread
            with self._changed:
                # Those that were stopped say so; why they were is the failure to tell.
                if self._failure is None or isinstance(self._failure, StoppedError):
                    self._failure = error
            self._end()
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()
