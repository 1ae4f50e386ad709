"""Classes of other people's, by the name that a config can hold: ``module:Name``."""

import importlib
import sys
from pathlib import Path

from orchestrator.errors import ConfigError


def is_class_name(text: str) -> bool:
    return ":" in text


def class_name(kind: type) -> str:
    """``module:Name``. Raises ``ConfigError`` for a class that cannot be found under one."""
    if "<locals>" in kind.__qualname__:
        raise ConfigError(
            f"{kind.__name__} is defined inside a function: define it at the top of a module, "
            "where it can be found as `module:Name`"
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def load_class(name: str) -> type:
    """The class called ``module:Name``, imported from where Python finds modules, the working
    directory last. Raises ``ConfigError``."""
    module, _, path = name.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        found: object = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except ImportError as error:
        raise ConfigError(
            f"{name}: cannot import {module!r} ({error}): run where it can be imported, or set "
            "PYTHONPATH"
        ) from error
    except AttributeError:
        raise ConfigError(f"{name}: the module {module!r} has no {path!r}") from None
    if not isinstance(found, type):
        raise ConfigError(f"{name}: {path} is not a class")
    return found
