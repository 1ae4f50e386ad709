"""What others wrote, made harmless for a terminal."""

import re

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    r"""``text`` with its control characters spelled out (``\x1b``), but for newlines and tabs.

    Models and servers can say anything, also what would clear, recolour or retitle a terminal or
    turn the direction of its writing.
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
