"""Whether an answer comes from the model that was asked for, by its name.

Clouds answer under a longer name (a date, a version, themselves in front), and some, when a model
has no room, by another model: a fallback that nobody is told of but by this name.
"""

import re

_VARIANT = re.compile(r":(?:free|nitro|floor|extended|online|exacto|latest)$")
_RELEASE = re.compile(r"(?:[-@_:](?:\d{2,}|v\d+(?:\.\d+)?|latest|preview|exp|stable))+$")


def is_same_model(asked: str, answered: str) -> bool:
    """Whether both name one model: case, the provider's name in front and the release left aside.

    ``gpt-4o`` is ``openai/gpt-4o-2024-08-06`` and not ``gpt-4o-mini``; of two releases each must be
    the other.
    """
    if asked == answered:
        return True
    one, other = _plain(asked), _plain(answered)
    if one == other:
        return True
    stem, other_stem = _RELEASE.sub("", one), _RELEASE.sub("", other)
    is_open = stem == one or "latest" in one or other_stem == other
    return stem == other_stem and is_open


def _plain(name: str) -> str:
    return _VARIANT.sub("", name.strip().lower()).rpartition("/")[2]
