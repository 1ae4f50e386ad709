"""Configs: validated into settings that need no further checking.

Every mistake is one line that names the file, the key and the fix. Secrets are never in a config:
it names the environment variable that holds them (``api_key_env``).
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from orchestrator.config.cells import CellsConfig, HeadlineConfig, all_cells
from orchestrator.config.endpoints import INSTRUCTED, PolicyConfig, PRMConfig
from orchestrator.config.fleets import FleetConfig, ModelConfig
from orchestrator.config.reading import place_of, read
from orchestrator.config.sections import (
    IsQuantity,
    LocatedPath,
    Section,
    keys_to,
    nearest,
    one_line,
    one_of,
)
from orchestrator.config.votes import VoteConfig
from orchestrator.core.budget import Limits
from orchestrator.errors import ConfigError
from orchestrator.formats.class_names import is_class_name
from orchestrator.formats.yaml_files import Keys
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.runs.plan import Cell, NamedModel
from orchestrator.runs.ports.branches import ON_FAILED_BRANCH
from orchestrator.tasks.kinds import DEFAULT, TASKS, made, task_class

HOW_AND_WHERE = (
    "url", "api", "api_version", "api_key_env", "timeout", "concurrency", "price",
    "urls_from", "requests_per_minute", "tokens_per_minute", "hedge",
    "patience", "training_tokens",
)  # fmt: skip
"""Keys of an endpoint that cannot change a result."""


class TaskConfig(Section):
    """The problems: a task by ``name``, or a JSONL file by ``path`` with the fields it names.

    ``kind`` says what asks and grades them where that is not mathematics: the class of a task of
    one's own, ``module:Name``, with its ``options``. ``skip`` leaves the first so many out: those a
    profile was measured on, for example.
    """

    name: str | None = None
    path: LocatedPath | None = None
    kind: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
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

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str | None) -> str | None:
        if kind is not None and kind not in TASKS and not is_class_name(kind):
            raise ValueError(
                f"unknown kind of task {kind!r}: {nearest(kind, list(TASKS))}; a class of your own "
                "is written `module:Name`"
            )
        return kind

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        try:
            made(task_class(self.kind or DEFAULT), self.options)
        except ConfigError as error:
            raise ConfigError(f"task.kind: {error}", ("task", "kind")) from error
        return self


class TinyServers(Section):
    """How many processes serve the embedded models; each serves all of them."""

    replicas: int = Field(2, ge=1, le=16)


class ServersConfig(Section):
    """Servers that start and stop with this run, unless they are up already."""

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

    tokens: Annotated[int, Field(ge=1), IsQuantity] | None = None
    policy_tokens: Annotated[int, Field(ge=1), IsQuantity] | None = None
    prm_tokens: Annotated[int, Field(ge=1), IsQuantity] | None = None
    requests: Annotated[int, Field(ge=1), IsQuantity] | None = None
    cost: Annotated[float, Field(gt=0, allow_inf_nan=False), IsQuantity] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False), IsQuantity] | None = None

    def limits(self) -> Limits:
        return Limits(**self.model_dump())


class RunConfig(Section):
    """A whole run.

    A policy or PRM whose ``model``, or name, is in the table ``models`` takes from there what it
    does not say itself. ``votes`` of one's own are taken beside those that every run takes.

    ``on_failed_branch`` says what happens when a request fails for good, after every retry.
    ``drop``: the search continues without its branch. ``refill``: another branch takes its place:
    for a path that cannot grow, the best sibling that was not selected, by the strategy's
    ``reward``; for a sample that was a request of its own, a draw with another seed; where there is
    neither, the branch is dropped. ``fail``: the tree ends, and answers from the leaves it has.
    """

    models: dict[str, ModelConfig] = Field(default_factory=dict)
    task: TaskConfig
    policies: dict[str, PolicyConfig]
    prms: dict[str, PRMConfig] = Field(default_factory=dict)
    cells: tuple[CellsConfig, ...] = Field(min_length=1)
    servers: ServersConfig = Field(default_factory=ServersConfig)
    votes: tuple[VoteConfig, ...] = ()
    headline: HeadlineConfig | None = None
    seed: int = 0
    trees: int = Field(128, ge=1)
    budget: LimitsConfig = Field(default_factory=LimitsConfig)
    problem_budget: LimitsConfig = Field(default_factory=LimitsConfig)
    prices: LocatedPath | None = None
    on_failed_branch: Annotated[str, one_of("policy for failed branches", ON_FAILED_BRANCH)] = (
        "drop"
    )
    _cells: tuple[Cell, ...] = PrivateAttr(())

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
    def headline_spec(self) -> HeadlineSpec | None:
        return None if self.headline is None else self.headline.spec()

    @property
    def trained_on(self) -> dict[str, float]:
        """Tokens each policy was pre-trained on, by name, where known."""
        known = {name: policy.training_tokens for name, policy in self.policies.items()}
        return {name: tokens for name, tokens in known.items() if tokens is not None}

    @model_validator(mode="after")
    def _build_cells(self) -> Self:
        """Raises ``ConfigError``, with the place, for settings a strategy refuses."""
        policies, prms = (
            {
                name: NamedModel(name=name, parameters=each.parameters)
                for name, each in models.items()
            }
            for models in (self.policies, self.prms)
        )
        own_votes = tuple(vote.build() for vote in self.votes)
        self._cells = tuple(
            dataclasses.replace(cell, own_votes=own_votes)
            for cell in all_cells(self.cells, self.task_name, policies, prms)
        )
        if self.headline is not None:
            self.headline.check(self._cells)
        return self

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        """A cell for each combination that ``cells`` names. Their models carry no prices: those
        are for an experiment to add."""
        return self._cells

    def dumped(self) -> dict[str, Any]:
        """The config as it can be read again, without models that no fleet of this run serves."""
        fleet = self.servers.fleet
        served = {fleet.model_of(service) for service in fleet.services} if fleet else set()
        dumped = self.model_dump(mode="json", exclude_defaults=True)
        models = {name: m for name, m in dumped.pop("models", {}).items() if name in served}
        return dumped | ({"models": models} if models else {})

    def identity(self) -> dict[str, Any]:
        """What the results depend on: everything but where and how fast the run goes."""
        dumped = self.model_dump(
            mode="json",
            exclude={"models", "servers", "trees", "cells", "headline", "budget", "prices"},
        )
        if not dumped["votes"]:
            dumped.pop("votes")
        dumped["task"].pop("problems")  # the first ones stay the same
        for key in ("kind", "options"):
            if not dumped["task"][key]:
                dumped["task"].pop(key)
        for endpoint in [*dumped["policies"].values(), *dumped["prms"].values()]:
            for key in HOW_AND_WHERE:
                endpoint.pop(key, None)
            if endpoint.get("continuation") != INSTRUCTED:  # the others come to the same texts
                endpoint.pop("continuation", None)
            if not endpoint.get("omit"):
                endpoint.pop("omit", None)
        return dumped


def _completed(name: str, entry: Any, models: dict[str, Any], role: str) -> Any:
    """An endpoint, completed with what the table says of its model."""
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
        return RunConfig.model_validate(values)
    except ValidationError as error:
        said, keys = one_line(error), keys_to(error)
    except ConfigError as error:
        said, keys = str(error), error.keys
    raise ConfigError(f"{place(keys) if place else source}: {said}", keys)
