"""Strategies from their names and settings, as configs and profiles write them, and back.

The fields of a strategy's dataclass are its settings.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from orchestrator.core.ports import Strategy
from orchestrator.errors import ConfigError
from orchestrator.formats.class_names import class_name, is_class_name, load_class
from orchestrator.strategies import STRATEGIES


def strategy_class(name: str) -> type[Strategy]:
    """The class of a name in ``STRATEGIES``, or the one called ``module:Name``.

    Raises ``ConfigError``.
    """
    if not is_class_name(name):
        if name not in STRATEGIES:
            raise ConfigError(f"no strategy is named {name!r}: known are {', '.join(STRATEGIES)}")
        return STRATEGIES[name]
    kind = load_class(name)
    if not hasattr(kind, "needs"):
        raise ConfigError(f"{name} is no strategy: it does not say what it `needs`")
    return kind


def build(name: str, settings: Mapping[str, Any]) -> Strategy:
    """The strategy of a name in ``STRATEGIES``, or of the class called ``module:Name``.

    Raises ``pydantic.ValidationError`` or ``ConfigError`` for settings it does not take.
    """
    return TypeAdapter(strategy_class(name)).validate_python(dict(settings))


def setting_names(strategy: type[Strategy]) -> list[str]:
    return [field.name for field in dataclasses.fields(_dataclass(strategy))]


def settings_of(strategy: Strategy) -> dict[str, Any]:
    """The settings of a strategy, nested ones as dictionaries. Raises ``ConfigError``."""
    _dataclass(type(strategy))
    return dataclasses.asdict(strategy)  # type: ignore[call-overload, no-any-return]


def name_of(strategy: Strategy) -> str:
    """The name of a strategy in configs: among ``STRATEGIES``, or ``module:Name`` of its class.

    Raises ``ConfigError`` where it has neither.
    """
    kind = type(strategy)
    names = {each: name for name, each in STRATEGIES.items()}
    return names[kind] if kind in names else class_name(kind)


def label_of(name: str) -> str:
    """The name of a strategy as people read it: its ``label``, or "beam search" for
    ``beam_search``. ``module:Name`` stays as it is."""
    plain = name if is_class_name(name) else name.replace("_", " ")
    label: str = getattr(STRATEGIES.get(name), "label", plain)
    return label


def takes_bool(name: str, setting: str) -> bool:
    """Whether a setting may be true or false: 1 and ``True`` are the same in Python, and not in a
    config."""
    hint = get_type_hints(strategy_class(name))[setting]
    return bool in (hint, *get_args(hint))


def _dataclass(strategy: type[Strategy]) -> Any:
    """Raises ``ConfigError`` where a strategy has no fields that could name its results."""
    if dataclasses.is_dataclass(strategy):
        return strategy
    raise ConfigError(
        f"the strategy {strategy.__name__} is no dataclass, and its results are named by its "
        "fields: decorate it with @dataclass(frozen=True, kw_only=True)"
    )
