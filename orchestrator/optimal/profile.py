"""A profile: the measurements of one policy and PRM on one task, as a readable file.

It holds the difficulty predictor and, for each bin, the expected accuracy and use of every arm
worth considering. From these a router picks arms for any budget. ``budgets`` lists some, each with
the accuracy of routing under it on held-out problems.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml

from orchestrator.core.compute import search_flops
from orchestrator.core.difficulty import BINS, Bin
from orchestrator.core.voting import VOTES
from orchestrator.errors import ConfigError, ProfileError
from orchestrator.formats.yaml_files import parse_yaml, read_text
from orchestrator.optimal.allocation import ParetoFront
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.predictor import Predictor
from orchestrator.optimal.shared_budget.expected_gain import Change

P = TypeVar("P")

VERSION = 1

Unit = Literal["tokens", "flops", "cost", "seconds"]
"""The unit of a budget: tokens of policy and PRM, FLOPs, USD, or seconds of one problem."""


class ProfiledModel(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    name: str
    parameters: int | None = None


class Use(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mean use per problem, pilots included, with the fields of ``Record``."""

    policy_tokens: float
    prompt_tokens: float
    cached_tokens: float
    prm_tokens: float
    prm_cached_tokens: float
    cost: float
    seconds: float

    @property
    def tokens(self) -> float:
        return self.policy_tokens + self.prm_tokens

    def flops(self, policy: ProfiledModel, prm: ProfiledModel | None) -> float:
        """FLOPs of policy and PRM. Raises ``ProfileError`` if their parameters are unknown."""
        if policy.parameters is None or (prm is not None and prm.parameters is None):
            raise ProfileError("a budget in FLOPs needs the `parameters` of the policy and the PRM")
        return search_flops(
            policy.parameters,
            prm.parameters if prm else None,
            policy_tokens=self.policy_tokens,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            prm_tokens=self.prm_tokens,
            prm_cached_tokens=self.prm_cached_tokens,
        ).total


Worth = Literal["sure", "likely"]
"""``sure``: better than every cheaper arm by at least half a standard error of the difference.
``likely``: better, by less than that."""


class InBin(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """An arm in one bin: its worth for routing (``route``) and for a pool (``rung``), its
    ``expected`` accuracy, the ``measured`` one with its standard ``error``, and its use."""

    route: Worth | None = None
    rung: Worth | None = None
    expected: float
    measured: float
    error: float
    use: Use


class ProfiledArm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An arm, with the bins where it is worth choosing."""

    strategy: str
    vote: str
    settings: dict[str, Any]
    bins: dict[Bin, InBin]

    def __post_init__(self) -> None:
        if self.vote not in VOTES:
            raise ValueError(f"no vote is named {self.vote!r}")

    @property
    def arm(self) -> Arm:
        return Arm(strategy=self.strategy, settings=self.settings, vote=VOTES[self.vote])


class Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A predicted bin's share of all problems, and its number of problems."""

    share: float
    problems: int


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ``strategy`` of one bin under a budget, in words, with its expected accuracy (``low`` and
    ``high`` are 1.96 standard errors away) and its use per problem."""

    strategy: str
    accuracy: float
    low: float
    high: float
    tokens: float
    flops: float | None
    seconds: float
    cost: float


class AtBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Routing under a budget in tokens per problem, measured on held-out folds."""

    budget: float
    accuracy: float
    low: float
    high: float
    tokens: float
    flops: float | None
    seconds: float
    cost: float
    bins: dict[Bin, Expected]


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How good the predicted pass@1 is on held-out folds.

    ``brier`` is the mean squared error. ``curve`` has a point for each tenth of the predictions:
    mean prediction, mean measured rate, count. ``confusion[predicted][true]`` is the share of the
    true bins among the problems of each predicted one.
    """

    brier: float
    curve: list[tuple[float, float, int]]
    confusion: dict[Bin, dict[Bin, float]]


PASS = "pass"
"""The name of pass@n among the votes."""


class Resampled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The accuracy of a ``vote`` over ``n`` independent samples, resampled from a larger run."""

    vote: str
    n: int
    accuracy: float
    low: float
    high: float


class SearchGain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tree search that a pool may run: what it uses of a problem on average, and how it changes
    the vote."""

    strategy: str
    settings: dict[str, Any]
    use: Use
    change: Change


class Gains(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a pool goes by: the expected gain of going on with a problem, from the evidence so far.

    ``strategy`` and ``settings`` draw the samples, ``n`` at most. ``vote`` elects among them and
    the leaves of ``searches``, the cheaper ones first. ``pilots`` is the mean use of a problem's
    pilots. ``curve`` compares the expected gain of more samples with the measured one, on problems
    that the regressions were not fitted to: means over fifths, and the number of steps in each."""

    strategy: str
    vote: str
    settings: dict[str, Any]
    pilots: Use
    samples: Change
    searches: list[SearchGain]
    curve: list[tuple[float, float, int]]

    def __post_init__(self) -> None:
        if self.vote not in VOTES:
            raise ValueError(f"no vote is named {self.vote!r}")

    @property
    def arm(self) -> Arm:
        """As many samples as were measured."""
        return Arm(strategy=self.strategy, settings=self.settings, vote=VOTES[self.vote])

    @property
    def search_arms(self) -> tuple[Arm, ...]:
        """The arm of each search."""
        vote = VOTES[self.vote]
        return tuple(
            Arm(strategy=each.strategy, settings=each.settings, vote=vote) for each in self.searches
        )


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a profile was measured on: a digest of the run's ``results``, and one of each of its
    ``problems``, so that a run can reject these."""

    orchard: str
    results: str
    problems: list[str]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int = VERSION
    task: str
    policy: ProfiledModel
    prm: ProfiledModel | None
    pilots: int
    sampling: dict[str, Any]
    """The sampling settings of whole solutions, including pilots."""
    predictor: Predictor
    calibration: Calibration
    shares: dict[Bin, Share]
    budgets: list[AtBudget]
    arms: list[ProfiledArm]
    samples: list[Resampled]
    """Each vote, and ``pass``, at every doubling of n."""
    origin: Origin
    gains: Gains | msgspec.UnsetType = msgspec.UNSET
    """What a pool goes by. Where unset, pools go along the frontier of a problem's bin, each step
    times the doubt about the vote (``shared_budget.step_rules``)."""

    @property
    def digest(self) -> str:
        """Identifies the profile by all of its contents."""
        return blake2b(msgspec.json.encode(self), digest_size=6).hexdigest()

    def used(self, unit: Unit) -> list[list[float]]:
        """The use of each arm in each bin, ``[b][a]``, in a budget's unit; infinite if it is not
        worth choosing there."""
        return [
            [self.amount(arm.bins[b].use, unit) if b in arm.bins else inf for arm in self.arms]
            for b in BINS
        ]

    def fronts(self) -> list[ParetoFront]:
        """The arms to choose from in each bin."""
        return [self._front(bin) for bin in BINS]

    def _front(self, bin: Bin) -> ParetoFront:
        inside = [(i, arm.bins[bin]) for i, arm in enumerate(self.arms) if bin in arm.bins]
        inside = [each for each in inside if each[1].route]
        inside.sort(key=lambda each: each[1].use.tokens)
        return ParetoFront(
            sure=tuple(i for i, arm in inside if arm.route == "sure"),
            likely=tuple(i for i, _ in inside),
        )

    def amount(self, use: Use, unit: Unit) -> float:
        """A use, converted to a budget's unit."""
        if unit == "flops":
            return use.flops(self.policy, self.prm)
        return float(getattr(use, unit))

    def overlap(self, task: str, problems: Sequence[str]) -> int:
        """How many of these problems of a task the profile was measured on."""
        return len(set(self.origin.problems) & {problem_digest(task, each) for each in problems})


def problem_digest(task: str, problem: str) -> str:
    return blake2b(f"{task}/{problem}".encode(), digest_size=4).hexdigest()


def dumped(profile: msgspec.Struct) -> str:
    """A profile, also one across models, as YAML, with six significant digits."""
    values = _rounded(msgspec.to_builtins(profile))
    text: str = yaml.safe_dump(values, sort_keys=False, width=100, default_flow_style=None)
    return text


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


_parsed = lru_cache(maxsize=8)(parse_yaml)


def profile_values(path: Path) -> Any:
    """What the file of a profile holds. ``solve`` reads it for each question, and parsing takes
    long: the same text is parsed once.

    Raises ``ProfileError`` if it cannot be read, or is no YAML.
    """
    try:
        return _parsed(read_text(path), str(path))
    except OSError as error:
        raise ProfileError(f"cannot read the profile {path}: {error.strerror}") from error
    except ConfigError as error:
        raise ProfileError(f"cannot read the profile {error}") from error


def read(path: Path) -> Profile:
    """Read a profile. Raises ``ProfileError`` if it is not one, or of another version."""
    return read_as(
        path, Profile, VERSION, "predictor", "profile", "`orchard profile CONFIG` makes one"
    )


def read_as(path: Path, kind: type[P], version: int, key: str, name: str, how_to_get_one: str) -> P:
    """Read a profile of a ``kind``, which is called by its ``name`` and told by its ``key``.

    Raises ``ProfileError`` if it is not one, or of another version.
    """
    values = profile_values(path)
    if not isinstance(values, dict) or key not in values:
        raise ProfileError(f"{path} is no {name}: {how_to_get_one}")
    if values.get("version") != version:
        raise ProfileError(
            f"{path} is a {name} of version {values.get('version')}, and this Orchard reads "
            f"{version}: measure it again with `orchard profile`"
        )
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ProfileError(f"the profile {path} is damaged: {error}") from error


def check_fits(profile: Profile, *, source: str, task: str, policy: str, prm: str | None) -> None:
    """Raises ``ProfileError`` if a profile was measured on another task, policy or PRM."""
    check_same("task", profile.task, task, source)
    check_same("policy", profile.policy.name, policy, source)
    check_same("PRM", profile.prm.name if profile.prm else None, prm, source)


def check_same(what: str, theirs: str | None, ours: str | None, source: str) -> None:
    """Raises ``ProfileError`` if a profile has another task, policy or PRM than a cell."""
    if theirs != ours:
        raise ProfileError(
            f"the profile {source} was measured with the {what} {theirs!r}, and this cell has "
            f"{ours!r}, and what is best depends on it: measure one with `orchard profile`"
        )
