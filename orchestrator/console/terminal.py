"""The only way to write to a terminal: text from models and servers is printed as plain text."""

import codecs
import errno
import logging
import os
import sys
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Span, Text

from orchestrator.errors import OutputError
from orchestrator.plain_text import plain


class Terminal(Console):
    """A console that escapes control characters and never interprets markup."""

    def __init__(
        self,
        *,
        stderr: bool = False,
        soft_wrap: bool = False,
        file: IO[str] | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__(
            stderr=stderr,
            soft_wrap=soft_wrap,
            file=file,
            width=width,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def print(self, *objects: Any, **options: Any) -> None:
        """Raises ``OutputError`` where stdout cannot be written, on a full disk for example."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            raise self._unwritable(error) from error

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(plain(text), **options)  # before its width is measured

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        if isinstance(renderable, Text):
            renderable = _spelled_out(renderable)  # before its lines are broken
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))

    def print_json_text(self, content: str) -> None:
        """``content``, which is JSON, unbroken and uncoloured, for programs.

        Raises ``OutputError``.
        """
        try:
            self.file.write(plain(content) + "\n")
            self.file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> OSError | OutputError:
        if error.errno == errno.EPIPE:  # whoever read it has seen enough
            return error
        stream = "stderr" if self.stderr else "stdout"
        with suppress(OSError, ValueError):  # what is left in its buffer has nowhere to go
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
        return OutputError(
            f"cannot write to {stream}: {error.strerror}; what was computed is kept in the run "
            "directory, where `orchard show` reads it"
        )


_ASCII = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "→": "->", "≥": ">=", "≤": "<=", "·": "."}
    | dict.fromkeys("█▒░", "#")
)


def _spelled_in_ascii(error: UnicodeError) -> tuple[str, int]:
    """The error handler of streams that cannot show every character."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_ASCII)
    simple = unicodedata.normalize("NFKD", text).encode("ascii", "replace").decode()
    return simple, error.end


def tolerate_any_encoding() -> None:
    """Have stdout and stderr spell what their encoding lacks, as in the C locale, in ASCII."""
    codecs.register_error("orchard-ascii", _spelled_in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="orchard-ascii")


def _spelled_out(text: Text) -> Text:
    said = plain(text.plain)
    if said == text.plain:
        return text
    spelled = text.blank_copy(said)
    spelled.spans = [
        Span(len(plain(text.plain[:start])), len(plain(text.plain[:end])), style)
        for start, end, style in text.spans
    ]
    return spelled


class TerminalLog(logging.Handler):
    """Warnings for the person at the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        Terminal(stderr=True, soft_wrap=True).print(self.format(record))
