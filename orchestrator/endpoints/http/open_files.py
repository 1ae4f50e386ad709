"""How many connections this process may hold: each is an open file, whose number is limited.

The limit is the process's, and so is the state of this module: all endpoints share it out, in equal
parts, after what everything else needs.
"""

import contextlib
import errno
import math
import os
import resource
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RESERVE = 24
"""Files for the journal, the workers that compare answers, name look-ups, health checks and what
else a run opens beside its requests."""

_MOST = 1 << 20
"""As many as anyone needs, where the hard limit is none."""

_AT_LEAST = 2
_LESS, _MORE = 0.8, 0.02


@dataclass(slots=True)
class OpenFiles:
    """``share`` is how many connections each endpoint may have at once; infinite without any."""

    share: float = math.inf
    _sharers: int = 0
    _room: float = math.inf

    def join(self) -> None:
        """One more endpoint opens connections. The first raises the limit as far as it may go."""
        if not self._sharers:
            self._room = max(0, raised_limit() - _in_use() - RESERVE)
        self._sharers += 1
        self._divide()

    def leave(self) -> None:
        """An endpoint has closed its connections."""
        self._sharers -= 1
        self._divide()

    def ran_out(self) -> None:
        """There were fewer than expected: something else opens files too."""
        self.share = max(_AT_LEAST, self.share * _LESS)

    def sufficed(self) -> None:
        """A connection was had while the share is lower than it was."""
        self.share = min(self._full, self.share + _MORE)

    @property
    def is_short(self) -> bool:
        return self.share < self._full

    @property
    def _full(self) -> float:
        return max(_AT_LEAST, self._room // self._sharers) if self._sharers else math.inf

    def _divide(self) -> None:
        self.share = self._full


OPEN_FILES = OpenFiles()
"""Those of this process."""


def raised_limit() -> int:
    """The most files this process may have open, once raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return _MOST if soft == resource.RLIM_INFINITY else soft
    for limit in (most, 10_240):  # macOS allows no more than the second, whatever it calls hard
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(limit, most)), hard))
            break
    return open_files_limit()


def open_files_limit() -> int:
    """The most files this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def ran_out_of_files(error: BaseException) -> bool:
    """Whether a connection failed because no more files may be open, here or on this machine."""
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in (errno.EMFILE, errno.ENFILE):
            return True
        if isinstance(each, socket.gaierror) and not _may_open():  # which says something else then
            return True
    return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "os_error", None)
        if isinstance(inner, BaseException):
            yield inner
        error = error.__cause__ or error.__context__


def _may_open() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True


def _in_use() -> int:
    try:
        return sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:  # nobody tells
        return RESERVE
