"""The prices of a config's models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.config.prices import PriceConfig, read_prices
from orchestrator.config.reading import shipped_config
from orchestrator.config.run import RunConfig
from orchestrator.config.sections import nearest
from orchestrator.core.budget import Price
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell, NamedModel


def prices(config: RunConfig) -> dict[str, Price]:
    """The price of each policy and PRM that has one, by its name.

    Raises ``ConfigError`` if a price is not in the table, or if there is a limit on the cost and a
    hosted model has no known price.
    """
    table = read_prices(config.prices or shipped_config("prices.yaml"))
    found = {}
    for name, endpoint in (config.policies | config.prms).items():
        if isinstance(endpoint.price, PriceConfig):
            price: Price | None = endpoint.price.price()
        elif endpoint.price is not None:
            price = table.of(endpoint.price)
            if price is None:
                raise ConfigError(
                    f"{name}: no price is named {endpoint.price!r}: "
                    f"{nearest(endpoint.price, list(table.models))}"
                )
        else:
            price = table.of(endpoint.model or name)
        if price is not None:
            found[name] = price
    if config.budget.cost is not None or config.problem_budget.cost is not None:
        unknown = unpriced(config, found)
        if unknown or not found:
            raise ConfigError(
                "a limit of the cost cannot be kept: "
                + (f"{unknown[0]} has no price" if unknown else "no model of this run has a price")
                + "; write `price: {input: …, output: …}` (USD per million tokens) beside its model"
            )
    return found


def unpriced(config: RunConfig, found: Mapping[str, Price]) -> list[str]:
    """The hosted policies and PRMs without a known price."""
    named = (config.policies | config.prms).items()
    return [name for name, endpoint in named if endpoint.hosted and name not in found]


def priced(cells: Sequence[Cell], found: Mapping[str, Price]) -> list[Cell]:
    """Return ``cells`` with the prices of their models set."""

    def at(model: NamedModel) -> NamedModel:
        return replace(model, price=found.get(model.name))

    return [
        replace(cell, policies=tuple(map(at, cell.policies)), prms=tuple(map(at, cell.prms)))
        for cell in cells
    ]
