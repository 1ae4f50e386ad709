"""The cells of a config: every combination of the policies, PRMs, strategies and n it names."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from orchestrator.config.reading import as_list
from orchestrator.config.sections import (
    IsNumber,
    Section,
    located,
    nearest,
    one_of,
    quantity,
)
from orchestrator.core.ports import Strategy
from orchestrator.core.voting import VOTES
from orchestrator.errors import ConfigError
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.runs.plan import Cell, NamedModel
from orchestrator.strategies import STRATEGIES, Auto
from orchestrator.strategies.building import build, setting_names, strategy_class, takes_bool
from orchestrator.strategies.traits import traits

Names = tuple[tuple[str, ...], tuple[str, ...]]
"""Those of a cell's policies, and of its PRMs."""


class CellsConfig(Section):
    """Cells with the same settings: every policy, PRM, strategy and ``n`` named. Under ``auto``
    all policies and PRMs are one cell, which chooses among them.

    ``problems`` takes the first so many of the task's, all where it is left out. Any other key is a
    setting of the strategies.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    policy: Annotated[tuple[str, ...], BeforeValidator(as_list)]
    prm: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    strategy: Annotated[
        tuple[Annotated[str, one_of("strategy", STRATEGIES, or_class=True)], ...],
        BeforeValidator(as_list),
    ]
    n: Annotated[tuple[Annotated[int, IsNumber, Field(ge=1)], ...], BeforeValidator(as_list)] = ()
    problems: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _profile_is_located(cls, values: Any) -> Any:
        profile = values.get("profile") if isinstance(values, dict) else None
        if not isinstance(profile, str) or not (file := located(Path(profile))).exists():
            return values  # one that comes with Orchard, by its name
        return values | {"profile": str(file)}

    @model_validator(mode="before")
    @classmethod
    def _lists_hold_something(cls, values: Any) -> Any:
        for key in ("policy", "strategy", "n"):
            if isinstance(values, dict) and values.get(key) == []:
                raise ValueError(f"{key}: the list is empty, so no cell is run: name one at least")
        return values

    @model_validator(mode="after")
    def _fits_its_strategies(self) -> Self:
        for name in self.strategy:
            settings = setting_names(strategy_class(name))
            for key in self.model_extra or {}:
                if key not in settings:
                    known = [*type(self).model_fields, *settings]
                    raise ValueError(f"unknown key {key!r} for {name}: {nearest(key, known)}")
            if self.n and "n" not in settings:
                raise ValueError(f"{name} takes no `n`")
        return self

    def cells(
        self, task: str, policies: Mapping[str, NamedModel], prms: Mapping[str, NamedModel]
    ) -> list[Cell]:
        """The cells: one for each combination, of ``auto`` one across all policies and PRMs. Raises
        ``ConfigError``."""
        found = []
        pairs: list[Names] = [
            ((policy,), (prm,) if prm else ())
            for policy, prm in itertools.product(self.policy, self.prm or (None,))
        ]
        for pair in pairs:
            for name, n in itertools.product(self.strategy, self.n or (None,)):
                strategy = self._strategy(name, n)
                names = pair
                if auto := traits(strategy).auto:
                    if pair != pairs[0]:
                        continue
                    names = self.policy, self.prm
                    self._check_routed(auto)
                found.append(
                    Cell(
                        task=task,
                        policies=tuple(policies[policy] for policy in names[0]),
                        prms=tuple(prms[prm] for prm in names[1]),
                        strategy_name=name,
                        strategy=strategy,
                        problems=self.problems,
                    )
                )
        return found

    def _check_routed(self, auto: Auto) -> None:
        """Raises ``ConfigError`` for what one cell of several models cannot have."""
        if len(self.policy) == 1 and len(self.prm) <= 1:
            return
        for key, names in (("policy", self.policy), ("prm", self.prm)):
            if twice := [name for name in names if names.count(name) > 1]:
                raise ConfigError(f"auto: {twice[0]} is there twice in `{key}`", (key,))
        if auto.profile is None:
            raise ConfigError(
                "auto across models needs a `profile` of them, which `orchard profile CONFIG` "
                "measures; without one give each policy and PRM a cell of its own"
            )
        if auto.unit == "tokens" and len(self.policy) > 1:
            raise ConfigError(
                "auto: a token of one model is not worth one of another: give the `budget` across "
                "models in `unit: flops`, `cost` or `seconds`",
                ("unit",),
            )
        auto.check_across()

    def _strategy(self, name: str, n: int | None) -> Strategy:
        settings = dict(self.model_extra or {}) | ({} if n is None else {"n": n})
        if "budget" in settings:
            settings["budget"] = quantity(settings["budget"])
        for key, value in settings.items():
            if isinstance(value, bool) and not takes_bool(name, key):
                raise ConfigError(f"{name}: {key}: {value} is no value for it", (key,))
        try:
            strategy = build(name, settings)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            said = first["msg"]
            if first["type"] == "dataclass_type":
                said = f"write it as {{{'rule' if place == 'stop' else 'strategy'}: …}}"
            raise ConfigError(f"{name}: {place}: {said}", first["loc"]) from None
        if "prm" in strategy.needs and not self.prm:
            raise ConfigError(f"{name} needs a `prm`")
        if "prm" not in strategy.needs and self.prm and not traits(strategy).auto:
            raise ConfigError(f"{name} scores nothing: leave `prm` out")
        return strategy


def all_cells(
    groups: Sequence[CellsConfig],
    task: str,
    policies: Mapping[str, NamedModel],
    prms: Mapping[str, NamedModel],
) -> tuple[Cell, ...]:
    """The cells of all ``groups``, in order.

    Raises ``ConfigError``, with its place, for a setting that a strategy refuses or a cell that is
    there twice.
    """
    cells: dict[str, Cell] = {}
    for i, group in enumerate(groups):
        try:
            for cell in group.cells(task, policies, prms):
                if cell.id in cells:
                    raise _twice(cells[cell.id], cell)
                cells[cell.id] = cell
        except ConfigError as error:
            raise ConfigError(f"cells.{i}: {error}", ("cells", i, *error.keys)) from error
    return tuple(cells.values())


def _twice(one: Cell, other: Cell) -> ConfigError:
    if one.cap == other.cap:
        return ConfigError(f"{one.id} is there twice: leave one of them")
    caps = " and ".join(f"{cell.cap:,.10g}" for cell in (one, other))
    return ConfigError(
        f"two pools differ in `budget` alone, {caps}, and a run directory holds one of them: leave "
        "one out here, and run it with an --out of its own"
    )


class HeadlineConfig(Section):
    """The comparison the report leads with, named before there are results."""

    small: str
    prm: str
    strategy: str
    n: int
    vote: Annotated[str, one_of("vote", VOTES)]
    large: str

    def spec(self) -> HeadlineSpec:
        return HeadlineSpec(**self.model_dump())

    def check(self, cells: Sequence[Cell]) -> None:
        """Raises ``ConfigError`` where it compares what no cell, or more than one, would run:
        better now than when everything is paid for."""
        large = [c for c in cells if (c.policy.name, c.strategy_name) == (self.large, "cot")]
        small = [
            c
            for c in cells
            if (c.policy.name, c.prm and c.prm.name) == (self.small, self.prm)
            and (c.strategy_name, c.strategy.n) == (self.strategy, self.n)
        ]
        wanted = f"{self.strategy} of {self.small} under {self.prm} with n = {self.n}"
        for found, what in ((large, f"cot of {self.large}"), (small, wanted)):
            if not found:
                raise ConfigError(
                    f"headline: no cell is {what}; add it to `cells`, or name another"
                )
            if len(found) > 1:
                raise ConfigError(f"headline: several cells are {what}; leave one of them")
