"""Configs: validated into settings that need no further checking.

Every mistake is one line that names the file, the key and the fix. Secrets are never in a config:
it names the environment variable that holds them (``api_key_env``).
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from orchestrator.config.endpoints import INSTRUCTED, PolicyConfig, PRMConfig
from orchestrator.config.fleets import FleetConfig, ModelConfig
from orchestrator.config.reading import as_list, place_of, read
from orchestrator.config.sections import (
    LocatedPath,
    Number,
    Quantity,
    Section,
    keys_to,
    located,
    nearest,
    one_line,
    one_of,
    quantity,
)
from orchestrator.core.budget import Limits, Price
from orchestrator.core.ports import Strategy
from orchestrator.core.voting import VOTES
from orchestrator.errors import ConfigError
from orchestrator.formats.yaml_files import Keys
from orchestrator.runs.plan import Cell, Model
from orchestrator.runs.ports.branches import ON_FAILED_BRANCH
from orchestrator.strategies import STRATEGIES

NO_PRICES: Mapping[str, Price] = MappingProxyType({})

HOW_AND_WHERE = (
    "url", "api", "api_version", "api_key_env", "timeout", "concurrency", "price",
    "urls_from", "requests_per_minute", "tokens_per_minute", "hedge",
    "patience", "training_tokens",
)  # fmt: skip
"""Keys of an endpoint that no result depends on."""


class TaskConfig(Section):
    """The problems: a task by ``name``, or a JSONL file by ``path`` with the fields it names.

    ``skip`` leaves the first so many out: those a profile was measured on, for example.
    """

    name: str | None = None
    path: LocatedPath | None = None
    question: str = "question"
    answer: str = "answer"
    id: str | None = None
    level: str | None = None
    problems: int | None = Field(None, ge=1)
    skip: Annotated[int, Field(ge=0)] = 0
    seed: int = 2026

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.name is None) == (self.path is None):
            raise ValueError("give either a `name` or the `path` of a JSONL file")
        return self


class TinyServers(Section):
    """How many processes serve the embedded models; each serves them all."""

    replicas: int = Field(2, ge=1, le=16)


class ServersConfig(Section):
    """Servers started for this run and ended with it, unless they are up already."""

    tiny: TinyServers | None = None
    fleet: FleetConfig | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.tiny is not None and self.fleet is not None:
            raise ValueError("give either `tiny` or a `fleet`; `tiny: null` leaves that out")
        return self


class LimitsConfig(Section):
    """The most a run, or each of its trees, may use; ``tokens`` are those of policy and PRM.

    ``seconds`` of a run count from each start.
    """

    tokens: Annotated[int, Field(ge=1), Quantity] | None = None
    policy_tokens: Annotated[int, Field(ge=1), Quantity] | None = None
    prm_tokens: Annotated[int, Field(ge=1), Quantity] | None = None
    requests: Annotated[int, Field(ge=1), Quantity] | None = None
    cost: Annotated[float, Field(gt=0, allow_inf_nan=False), Quantity] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False), Quantity] | None = None

    def limits(self) -> Limits:
        return Limits(**self.model_dump())


class CellsConfig(Section):
    """Cells with the same settings: every policy, PRM, strategy and ``n`` named.

    ``problems`` takes the first so many of the task's, all where it is left out. Any other key is a
    setting of the strategies.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    policy: Annotated[tuple[str, ...], BeforeValidator(as_list)]
    prm: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    strategy: Annotated[
        tuple[Annotated[str, one_of("strategy", list(STRATEGIES))], ...], BeforeValidator(as_list)
    ]
    n: Annotated[tuple[Annotated[int, Number, Field(ge=1)], ...], BeforeValidator(as_list)] = ()
    problems: Annotated[int, Number, Field(ge=1)] | None = None

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
            strategy = STRATEGIES[name]
            settings = [field.name for field in dataclasses.fields(strategy)]
            for key in self.model_extra or {}:
                if key not in settings:
                    known = [*type(self).model_fields, *settings]
                    raise ValueError(f"unknown key {key!r} for {name}: {nearest(key, known)}")
            if strategy.uses_prm and not self.prm:
                raise ValueError(f"{name} needs a `prm`")
            if not strategy.uses_prm and self.prm:
                raise ValueError(f"{name} scores nothing: leave `prm` out")
            if self.n and "n" not in settings:
                raise ValueError(f"{name} takes no `n`")
        return self

    def cells(self, task: str, policies: dict[str, Model], prms: dict[str, Model]) -> list[Cell]:
        """The cells, one for each combination. Raises ``ConfigError``."""
        combinations = itertools.product(
            self.policy, self.prm or (None,), self.strategy, self.n or (None,)
        )
        return [
            Cell(
                task=task,
                policy=policies[policy],
                prm=None if prm is None else prms[prm],
                strategy_name=name,
                strategy=self._strategy(name, n),
                problems=self.problems,
            )
            for policy, prm, name, n in combinations
        ]

    def _strategy(self, name: str, n: int | None) -> Strategy:
        settings = dict(self.model_extra or {}) | ({} if n is None else {"n": n})
        if "budget" in settings:
            settings["budget"] = quantity(settings["budget"])
        for key, value in settings.items():
            if isinstance(value, bool) and key not in ("logprobs", "pool"):
                raise ConfigError(f"{name}: {key}: {value} is no value for it", (key,))
        try:
            return TypeAdapter(STRATEGIES[name]).validate_python(settings)  # type: ignore[no-any-return]
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            said = first["msg"]
            if first["type"] == "dataclass_type":
                said = f"write it as {{{'rule' if place == 'stop' else 'strategy'}: …}}"
            raise ConfigError(f"{name}: {place}: {said}", first["loc"]) from None


class HeadlineConfig(Section):
    """The comparison the report leads with, named before there are results."""

    small: str
    prm: str
    strategy: str
    n: int
    vote: Annotated[str, one_of("vote", VOTES)]
    large: str


class RunConfig(Section):
    """A whole run.

    A policy or PRM whose ``model``, or name, is in the table ``models`` takes from there what it
    does not say itself.

    ``on_failed_branch`` is for a request that failed for good, after every retry. ``drop``: its
    branch is missing, and the search goes on with the others. ``refill``: another stands in, which
    is the best sibling passed over, by the strategy's ``reward``, for a path that cannot be grown,
    and a draw from another seed for a sample that was a request of its own; what has no stand-in is
    dropped. ``fail``: the tree ends, and answers from what it has.
    """

    models: dict[str, ModelConfig] = Field(default_factory=dict)
    task: TaskConfig
    policies: dict[str, PolicyConfig]
    prms: dict[str, PRMConfig] = Field(default_factory=dict)
    cells: tuple[CellsConfig, ...] = Field(min_length=1)
    servers: ServersConfig = Field(default_factory=ServersConfig)
    headline: HeadlineConfig | None = None
    seed: int = 0
    trees: int = Field(128, ge=1)
    budget: LimitsConfig = Field(default_factory=LimitsConfig)
    problem_budget: LimitsConfig = Field(default_factory=LimitsConfig)
    prices: LocatedPath | None = None
    on_failed_branch: Annotated[str, one_of("policy for failed branches", ON_FAILED_BRANCH)] = (
        "drop"
    )

    @model_validator(mode="before")
    @classmethod
    def _complete_from_models(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("models"), dict):
            return values
        return values | {
            kind: {
                name: _completed(name, entry or {}, values["models"], role)
                for name, entry in values[kind].items()
            }
            for kind, role in (("policies", "policy"), ("prms", "prm"))
            if isinstance(values.get(kind), dict)
        }

    @model_validator(mode="after")
    def _fleet_has_models(self) -> Self:
        if self.servers.fleet is not None:
            self.servers.fleet.check_models(self.models)
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for i, cell in enumerate(self.cells):
            for kind, names, known in (
                ("policy", cell.policy, list(self.policies)),
                ("prm", cell.prm, list(self.prms)),
            ):
                for name in names:
                    if name not in known:
                        raise ValueError(
                            f"cells.{i}: no {kind} is named {name!r}: {nearest(name, known)}"
                        )
        return self

    @property
    def task_name(self) -> str:
        return self.task.name or str(self.task.path and self.task.path.stem)

    @property
    def trained_on(self) -> dict[str, float]:
        """The tokens that policies were pre-trained on, by name, where they are known."""
        known = {name: policy.training_tokens for name, policy in self.policies.items()}
        return {name: tokens for name, tokens in known.items() if tokens is not None}

    def build_cells(self, prices: Mapping[str, Price] = NO_PRICES) -> list[Cell]:
        """All cells, at the ``prices`` of the policies and PRMs they name.

        Raises ``ConfigError``, with the place, for settings a strategy refuses.
        """
        policies, prms = (
            {
                name: Model(name=name, parameters=each.parameters, price=prices.get(name))
                for name, each in endpoints.items()
            }
            for endpoints in (self.policies, self.prms)
        )
        cells: dict[str, Cell] = {}
        for i, group in enumerate(self.cells):
            try:
                for cell in group.cells(self.task_name, policies, prms):
                    if cell.id in cells:
                        raise _twice(cells[cell.id], cell)
                    cells[cell.id] = cell
            except ConfigError as error:
                raise ConfigError(f"cells.{i}: {error}", ("cells", i, *error.keys)) from error
        self._check_headline(list(cells.values()))
        return list(cells.values())

    def _check_headline(self, cells: Sequence[Cell]) -> None:
        """Raises ``ConfigError`` where the headline compares what no cell, or several, would run:
        better now than when everything is paid for."""
        line = self.headline
        if line is None:
            return
        large = [c for c in cells if (c.policy.name, c.strategy_name) == (line.large, "cot")]
        small = [
            c
            for c in cells
            if (c.policy.name, c.prm and c.prm.name) == (line.small, line.prm)
            and (c.strategy_name, c.strategy.n) == (line.strategy, line.n)
        ]
        wanted = f"{line.strategy} of {line.small} under {line.prm} with n = {line.n}"
        for found, what in ((large, f"cot of {line.large}"), (small, wanted)):
            if not found:
                raise ConfigError(
                    f"headline: no cell is {what}; add it to `cells`, or name another"
                )
            if len(found) > 1:
                raise ConfigError(f"headline: several cells are {what}; leave one of them")

    def dumped(self) -> dict[str, Any]:
        """What says the same again, without the models that no fleet of this run serves."""
        fleet = self.servers.fleet
        served = {fleet.model_of(service) for service in fleet.services} if fleet else set()
        dumped = self.model_dump(mode="json", exclude_defaults=True)
        models = {name: m for name, m in dumped.pop("models", {}).items() if name in served}
        return dumped | ({"models": models} if models else {})

    def identity(self) -> dict[str, Any]:
        """What the results depend on: all but where and how fast it runs."""
        dumped = self.model_dump(
            mode="json",
            exclude={"models", "servers", "trees", "cells", "headline", "budget", "prices"},
        )
        dumped["task"].pop("problems")  # the first ones stay the same
        for endpoint in [*dumped["policies"].values(), *dumped["prms"].values()]:
            for key in HOW_AND_WHERE:
                endpoint.pop(key, None)
            if endpoint.get("continuation") != INSTRUCTED:  # the others come to the same texts
                endpoint.pop("continuation", None)
            if not endpoint.get("omit"):
                endpoint.pop("omit", None)
        return dumped


def _twice(one: Cell, other: Cell) -> ConfigError:
    if one.cap == other.cap:
        return ConfigError(f"{one.id} is there twice: leave one of them")
    caps = " and ".join(f"{cell.cap:,.10g}" for cell in (one, other))
    return ConfigError(
        f"two pools differ in `budget` alone, {caps}, and a run directory holds one of them: leave "
        "one out here, and run it with an --out of its own"
    )


def _completed(name: str, entry: Any, models: dict[str, Any], role: str) -> Any:
    """An endpoint with what the table knows of its model."""
    known = entry.get("model") or name if isinstance(entry, dict) else None
    if not isinstance(known, str) or known not in models:
        return entry
    try:
        model = ModelConfig.model_validate(models[known])
    except ValidationError:  # said of the table itself, with its place there
        return entry
    if model.role != role:
        raise ValueError(f"{name}: {known} is a {model.role} in `models`, not a {role}")
    fields = ["prompt"] if role == "policy" else ["family", "options", "running_minimum"]
    told = model.model_dump(include={*fields, "parameters", "training_tokens"}, exclude_none=True)
    return told | entry | {"model": model.served_name(known)}


def load(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read, compose and validate a config. Raises ``ConfigError``, which names the line."""
    return validate(read(path, overrides), str(path), lambda keys: place_of(path, keys, overrides))


def validate(
    values: dict[str, Any], source: str, place: Callable[[Keys], str] | None = None
) -> RunConfig:
    """Validate a config's values. Raises ``ConfigError``.

    The error is led by ``source``, or by the ``place`` of the values it is about.
    """
    try:
        config = RunConfig.model_validate(values)
        config.build_cells()
    except ValidationError as error:
        said, keys = one_line(error), keys_to(error)
    except ConfigError as error:
        said, keys = str(error), error.keys
    else:
        return config
    raise ConfigError(f"{place(keys) if place else source}: {said}", keys)
