"""Tokens by their brackets, and a place among them for readers to move on."""

from orchestrator.tasks.math.reading.tokens import Token
from orchestrator.tasks.math.terms import Unreadable

CLOSING = {
    "(": (")", "]"), "[": ("]", ")"), "{": ("}",), r"\{": (r"\}",), r"\langle": (r"\rangle",),
    r"\lfloor": (r"\rfloor",), r"\lceil": (r"\rceil",),
}  # fmt: skip
"""What each bracket may be closed by: those of intervals are mixed."""

CLOSERS = frozenset(each for closers in CLOSING.values() for each in closers)


def split(tokens: list[Token], *separators: str) -> list[list[Token]]:
    """The parts between separators that stand in no brackets."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind in ("symbol", "command"):
            depth += token.text in CLOSING or token.text.startswith(r"\begin")
            depth -= token.text in CLOSERS
            depth -= token.text.startswith(r"\end")
        if depth == 0 and token.kind != "text" and token.text in separators:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


class Cursor:
    """A place in a list of tokens, for readers to move on."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = [*tokens, Token("end", "", 0, 0)]
        self.position = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.token
        self.position += 1
        return token

    def accept(self, *texts: str) -> bool:
        if self.token.text in texts and self.token.kind in ("symbol", "command", "name"):
            self.position += 1
            return True
        return False

    def expect(self, *texts: str) -> str:
        token = self.take()
        if token.text not in texts:
            raise Unreadable
        return token.text
