"""When a text ends, and what is left of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from servers.tiny.text import Text

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class SampleEnd:
    """How a completion ended, in vLLM's terms, and its text.

    ``stop_reason`` is the stop string or stop token that ended it, and ``None`` for the end of text
    or of the room for tokens.
    """

    finish_reason: FinishReason
    stop_reason: str | int | None
    text: str


@dataclass(frozen=True, slots=True)
class StopRule:
    """The conditions that end one request's completions.

    ``watched`` holds every token after which ``ending`` may say yes: others need no look.
    """

    text: Text
    end_of_text: frozenset[int]
    strings: tuple[str, ...]
    tokens: frozenset[int]
    included: bool  # whether the text keeps the stop string or stop token
    watched: frozenset[int]

    @classmethod
    def build(
        cls,
        text: Text,
        *,
        end_of_text: frozenset[int],
        strings: Sequence[str],
        tokens: Sequence[int],
        included: bool,
    ) -> "StopRule":
        completing = text.completing(tuple(strings)) if strings else frozenset[int]()
        watched = end_of_text | frozenset(tokens) | completing
        return cls(text, end_of_text, tuple(strings), frozenset(tokens), included, watched)

    def ending(self, ids: Sequence[int], *, full: bool) -> SampleEnd | None:
        """How a completion of these tokens ends, if it does; ``full`` means no room for another.

        A stop token's own text is dropped like a stop string, unless the request keeps it.
        """
        last = ids[-1]
        stopped = last in self.end_of_text or last in self.tokens
        shown = ids[:-1] if stopped and not self.included else ids
        text = self.text.decode(shown)
        found = self._first_stop(text)
        if found is not None:
            at, string = found
            end = at + len(string) if self.included else at
            return SampleEnd("stop", string, text[:end])
        if stopped:
            return SampleEnd("stop", None if last in self.end_of_text else last, text)
        return SampleEnd("length", None, text) if full else None

    def _first_stop(self, text: str) -> tuple[int, str] | None:
        """The stop string that ends first in the text, the longest of those."""
        hits = [(at, s) for s in self.strings if (at := text.find(s)) >= 0]
        return min(hits, key=lambda hit: (hit[0] + len(hit[1]), hit[0]), default=None)
