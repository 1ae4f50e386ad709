"""The one way to a person's terminal, on which the text of others is text and nothing else."""

import logging
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Span, Text

from orchestrator.plain_text import plain


class Terminal(Console):
    """A console that spells control characters out and reads no markup, whatever it is given."""

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
        """``content``, which is JSON, unbroken and uncoloured, for programs."""
        self.file.write(plain(content) + "\n")


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
