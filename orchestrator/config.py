"""Configs: validated into settings that need no further checking.

Every mistake is one line that names the file, the key and the fix. Secrets are never in a config:
it names the environment variable that holds them (``api_key_env``).
"""

import dataclasses
import difflib
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from orchestrator.core.budget import Limits
from orchestrator.core.ports import Strategy
from orchestrator.core.voting import VOTES
from orchestrator.endpoints.prm import PRM_FAMILIES
from orchestrator.endpoints.transport import Endpoint
from orchestrator.errors import ConfigError
from orchestrator.reading import as_list, read
from orchestrator.runs.plan import Cell, Model
from orchestrator.strategies import STRATEGIES
from orchestrator.tasks.prompts import PROMPTS


def nearest(unknown: str, known: Sequence[str]) -> str:
    """``did you mean "x"?``, or all that is known where nothing is near."""
    match = difflib.get_close_matches(unknown, known, n=1)
    return f'did you mean "{match[0]}"?' if match else f"known: {', '.join(sorted(known))}"


def one_of(kind: str, known: Sequence[str]) -> BeforeValidator:
    """Refuses a name that is not among ``known``, with the nearest that is."""

    def check(value: Any) -> Any:
        if value not in known:
            raise ValueError(f"unknown {kind} {value!r}: {nearest(str(value), known)}")
        return value

    return BeforeValidator(check)


class Section(BaseModel):
    """A part of a config that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict) and cls.model_config.get("extra") == "forbid":
            known = list(cls.model_fields)
            for key in values:
                if key not in known:
                    raise ValueError(f"unknown key {key!r}: {nearest(str(key), known)}")
        return values


class TaskConfig(Section):
    """The problems: a task by ``name``, or a JSONL file by ``path`` with the fields it names."""

    name: str | None = None
    path: Path | None = None
    question: str = "question"
    answer: str = "answer"
    id: str | None = None
    level: str | None = None
    problems: int | None = Field(None, ge=1)
    seed: int = 2026

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.name is None) == (self.path is None):
            raise ValueError("give either a `name` or the `path` of a JSONL file")
        return self


class EndpointConfig(Section):
    """Where a model is served. ``url`` may list replicas."""

    url: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    model: str | None = None
    api_key_env: str | None = None
    parameters: int | None = Field(None, ge=1)
    timeout: float = Field(600.0, gt=0)
    concurrency: int = Field(512, ge=1)

    def endpoint(self, name: str, urls: Sequence[str] = ()) -> Endpoint:
        """The endpoint to talk to. ``urls`` are those of servers started for this run.

        Raises ``ConfigError`` where there is no URL, or the key's variable is not set.
        """
        if not (self.url or urls):
            raise ConfigError(
                f"{name} has no `url`, and no server is started for it: give it one, or let "
                "`servers: {tiny: {}}` serve the embedded models"
            )
        key = None
        if self.api_key_env is not None:
            key = os.environ.get(self.api_key_env, "").strip()
            if not key:
                raise ConfigError(f"{name} needs its API key: set ${self.api_key_env}")
        return Endpoint(
            urls=self.url or tuple(urls),
            model=self.model or name,
            api_key=key,
            timeout=self.timeout,
            concurrency=self.concurrency,
        )


class PolicyConfig(EndpointConfig):
    """A policy: its prompt family, and how the server lets a solution be continued."""

    prompt: Annotated[str, one_of("prompt family", list(PROMPTS))] = "qwen"
    continuation: Literal["tokens", "chat"] = "tokens"


class PRMConfig(EndpointConfig):
    """A process reward model and its family."""

    family: Annotated[str, one_of("PRM family", list(PRM_FAMILIES))]
    running_minimum: bool = False
    options: dict[str, Any] = {}


class TinyServers(Section):
    """How many processes serve the embedded models; each serves them all."""

    replicas: int = Field(2, ge=1, le=16)


class ServersConfig(Section):
    """Servers started for this run and ended with it."""

    tiny: TinyServers | None = None


class LimitsConfig(Section):
    policy_tokens: Annotated[int, Field(ge=1)] | None = None
    prm_tokens: Annotated[int, Field(ge=1)] | None = None
    requests: Annotated[int, Field(ge=1)] | None = None

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
    n: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(as_list)] = ()
    problems: Annotated[int, Field(ge=1)] | None = None

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
        try:
            return TypeAdapter(STRATEGIES[name]).validate_python(settings)  # type: ignore[no-any-return]
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ConfigError(f"{name}: {place}: {first['msg']}") from None


class HeadlineConfig(Section):
    """The comparison the report leads with, named before there are results."""

    small: str
    prm: str
    strategy: str
    n: int
    vote: Annotated[str, one_of("vote", VOTES)]
    large: str


class RunConfig(Section):
    """A whole run."""

    task: TaskConfig
    policies: dict[str, PolicyConfig]
    prms: dict[str, PRMConfig] = {}
    cells: tuple[CellsConfig, ...] = Field(min_length=1)
    servers: ServersConfig = Field(default_factory=ServersConfig)
    headline: HeadlineConfig | None = None
    seed: int = 0
    trees: int = Field(128, ge=1)
    budget: LimitsConfig = Field(default_factory=LimitsConfig)
    problem_budget: LimitsConfig = Field(default_factory=LimitsConfig)

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

    def build_cells(self) -> list[Cell]:
        """All cells. Raises ``ConfigError``, with the place, for settings a strategy refuses."""
        policies = {k: Model(name=k, parameters=p.parameters) for k, p in self.policies.items()}
        prms = {k: Model(name=k, parameters=p.parameters) for k, p in self.prms.items()}
        cells: dict[str, Cell] = {}
        for i, group in enumerate(self.cells):
            try:
                for cell in group.cells(self.task_name, policies, prms):
                    if cell.id in cells:
                        raise ConfigError(f"{cell.id} is there twice: leave one of them")
                    cells[cell.id] = cell
            except ConfigError as error:
                raise ConfigError(f"cells.{i}: {error}") from error
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

    def identity(self) -> dict[str, Any]:
        """What the results depend on: all but where and how fast it runs."""
        dumped = self.model_dump(
            mode="json", exclude={"servers", "trees", "cells", "headline", "budget"}
        )
        dumped["task"].pop("problems")  # the first ones stay the same
        for endpoint in [*dumped["policies"].values(), *dumped["prms"].values()]:
            for key in ("url", "api_key_env", "timeout", "concurrency"):
                endpoint.pop(key)
        return dumped


def load(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read, compose and validate a config. Raises ``ConfigError``."""
    return validate(read(path, overrides), str(path))


def validate(values: dict[str, Any], source: str) -> RunConfig:
    """Validate a config's values; ``source`` names it in the error. Raises ``ConfigError``."""
    try:
        config = RunConfig.model_validate(values)
        config.build_cells()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        said = str(first["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
        missing = "it is required" if first["type"] == "missing" else said
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ConfigError(f"{source}: {place + ': ' if place else ''}{missing}{more}") from None
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
    return config
