"""API keys: configs name the environment variables that hold them; nothing writes them down."""

import os
import re
from typing import Annotated

from pydantic import AfterValidator

from orchestrator.errors import ConfigError

_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")


def _is_name(variable: str) -> str:
    if not _NAME.fullmatch(variable):  # whatever it is, it is not repeated: it may be the key
        raise ValueError("name the environment variable that holds the key, such as MY_KEY")
    return variable


KeyVariable = Annotated[str, AfterValidator(_is_name)]
"""The name of the environment variable that holds a key."""


def key_in(variable: str, whose: str) -> str:
    """The key in ``variable``. Raises ``ConfigError`` where it is unset or cannot be a key."""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"{whose} needs its API key: set ${variable}")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(
            f"{whose} needs its API key, and what ${variable} holds can be none: it has spaces, "
            "line breaks or letters beyond ASCII in it"
        )
    return key
