"""`suppress`, `contextmanager` and `ExitStack` as `contextlib` has them, as far as we use them.

Importing `contextlib` takes `collections` and `functools` along: 3 ms and 0.5 MB, of a start that
takes 40 and a monitor that is to stay small.  Type checkers see the originals.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack, contextmanager, suppress
else:

    class suppress:  # noqa: N801 - the original's name
        """``with suppress(KeyError):`` the block ends at one, and nothing else happens."""

        def __init__(self, *kinds):
            self._kinds = kinds

        def __enter__(self):
            return None

        def __exit__(self, kind, error, traceback):
            return kind is not None and issubclass(kind, self._kinds)

    def contextmanager(function):
        """Make a context of a generator function that yields once."""

        def make(*arguments, **named):
            return _Generated(function(*arguments, **named))

        make.__name__, make.__doc__ = function.__name__, function.__doc__
        return make

    class _Generated:
        def __init__(self, generator):
            self._generator = generator

        def __enter__(self):
            return next(self._generator)

        def __exit__(self, kind, error, traceback):
            try:
                if kind is None:
                    next(self._generator)
                else:
                    self._generator.throw(error)
            except StopIteration as end:
                # It came to its end: what it caught is over, what passes through it is not.
                return kind is not None and end is not error
            except BaseException as other:
                # A generator turns a StopIteration that passes through it into a RuntimeError.
                if error is other or error is other.__cause__:
                    return False
                raise
            self._generator.close()
            raise RuntimeError("a context's generator yields once")

    class ExitStack:
        """Calls what it was given when the block ends, last first, whatever happens."""

        def __init__(self):
            self._calls = []

        def callback(self, function, /, *arguments, **named):
            """Have *function* called at the end."""
            self._calls.append((function, arguments, named))
            return function

        def __enter__(self):
            return self

        def __exit__(self, kind, error, traceback):
            while self._calls:
                function, arguments, named = self._calls.pop()
                try:
                    function(*arguments, **named)
                except BaseException:
                    self.__exit__(kind, error, traceback)
                    raise
            return False


__all__ = ["ExitStack", "contextmanager", "suppress"]
