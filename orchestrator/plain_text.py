"""What others wrote, made harmless for a terminal."""

import re

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    r"""``text`` with its control characters spelled out as in JSON (``\u001b``), but for newlines
    and tabs.

    Models and servers can say anything, also what would clear, recolour or retitle a terminal or
    turn the direction of its writing. JSON stays the same JSON.
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
