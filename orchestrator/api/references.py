"""What a config calls a class: its name among Orchard's own, or ``module:Name``."""

from orchestrator.core.ports import Strategy
from orchestrator.errors import ConfigError
from orchestrator.strategies import STRATEGIES
from orchestrator.strategies.building import name_of


def reference(kind: type) -> str:
    """``module:Name``. Raises ``ConfigError`` where a class has no such name."""
    if "<locals>" in kind.__qualname__:
        raise ConfigError(
            f"{kind.__name__} is defined inside a function: define it at the top of a module, so "
            "that it can be named as `module:Name`"
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def strategy_reference(strategy: Strategy) -> str:
    """A strategy's name among ``STRATEGIES``, else that of its class. Raises ``ConfigError``."""
    kind = type(strategy)
    return name_of(strategy) if kind in STRATEGIES.values() else reference(kind)
