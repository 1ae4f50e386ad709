"""A profile: what was measured of one policy and PRM on one task, in a file one can read.

It holds the difficulty predictor and, for each bin, what every arm worth considering is expected to
come to and to use. From it a router picks arms for any budget; ``budgets`` shows some, each with
the accuracy that routing under it reached on problems it was not fitted to.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import inf
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from orchestrator.core.compute import search_flops
from orchestrator.core.difficulty import BINS, Bin
from orchestrator.core.voting import VOTES
from orchestrator.errors import ConfigError, ProfileError
from orchestrator.formats.yaml_files import read_yaml
from orchestrator.optimal.allocation import ParetoFront
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.predictor import Predictor

VERSION = 1

Unit = Literal["tokens", "flops", "cost", "seconds"]
"""What a budget is in: tokens of policy and PRM, FLOPs, USD, or seconds of one problem."""


class ProfiledModel(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    name: str
    parameters: int | None = None


class Use(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one problem uses on average, pilots included, as records have it."""

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
        """Of policy and PRM. Raises ``ProfileError`` where their parameters are not known."""
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
"""Whether an arm is better than every cheaper one by half a standard error of the difference, or is
only likely to be better."""


class InBin(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """An arm in one bin: whether it is worth choosing there (``route``), and worth a pool's while
    (``rung``); the accuracy it is ``expected`` to have, the one ``measured`` with its standard
    ``error``, and what it uses."""

    route: Worth | None = None
    rung: Worth | None = None
    expected: float
    measured: float
    error: float
    use: Use


class ProfiledArm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An arm, in the bins where it is worth choosing."""

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
    """Of all problems, by what their pilots show."""

    share: float
    problems: int


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ``strategy`` of one bin under a budget, in words, and what it is expected to come to and
    to use a problem; ``low`` and ``high`` are within 1.96 standard errors."""

    strategy: str
    accuracy: float
    low: float
    high: float
    tokens: float
    flops: float | None
    seconds: float
    cost: float


class AtBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Routing under a budget of so many tokens a problem, off the folds it was fitted to."""

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
    """How good the predicted pass@1 is, off the folds it was fitted to: the mean squared error, the
    mean measured rate for tenths of the predictions, and how often the ``predicted`` bin was each
    true one."""

    brier: float
    curve: list[tuple[float, float, int]]
    confusion: dict[Bin, dict[Bin, float]]


PASS = "pass"
"""What one of n samples being right goes by, among the votes."""


class Resampled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a ``vote`` over ``n`` independent samples comes to, from a run of more of them."""

    vote: str
    n: int
    accuracy: float
    low: float
    high: float


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a profile was measured on: the run's ``results`` by a digest, and its ``problems``, a
    digest each, so that no one is judged on those."""

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
    """How whole solutions are drawn, the pilots among them."""
    predictor: Predictor
    calibration: Calibration
    shares: dict[Bin, Share]
    budgets: list[AtBudget]
    arms: list[ProfiledArm]
    samples: list[Resampled]
    """Each vote, and ``pass``, at every doubling of n."""
    origin: Origin

    @property
    def digest(self) -> str:
        """Names the profile by all that routing goes by."""
        return blake2b(msgspec.json.encode(self), digest_size=6).hexdigest()

    def used(self, unit: Unit) -> list[list[float]]:
        """What each arm uses in each bin, ``[b][a]``, in a budget's unit; infinite where it is not
        worth choosing."""
        return [
            [self.amount(arm.bins[b].use, unit) if b in arm.bins else inf for arm in self.arms]
            for b in BINS
        ]

    def fronts(self) -> list[ParetoFront]:
        """The arms worth choosing among in each bin."""
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
        """A use in a budget's unit."""
        if unit == "flops":
            return use.flops(self.policy, self.prm)
        return float(getattr(use, unit))

    def overlap(self, task: str, problems: Sequence[str]) -> int:
        """How many of a task's problems it was measured on."""
        return len(set(self.origin.problems) & {problem_digest(task, each) for each in problems})


def problem_digest(task: str, problem: str) -> str:
    return blake2b(f"{task}/{problem}".encode(), digest_size=4).hexdigest()


def dumped(profile: Profile) -> str:
    """The profile as YAML, numbers to six digits."""
    values = _rounded(msgspec.to_builtins(profile))
    text: str = yaml.safe_dump(values, sort_keys=False, width=100, default_flow_style=None)
    return text


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def read(path: Path) -> Profile:
    """Raises ``ProfileError`` where the file is none, or another version's."""
    try:
        values = read_yaml(path)
    except OSError as error:
        raise ProfileError(f"cannot read the profile {path}: {error.strerror}") from error
    except ConfigError as error:
        raise ProfileError(f"cannot read the profile {error}") from error
    if not isinstance(values, dict) or "predictor" not in values:
        raise ProfileError(f"{path} is no profile: `orchard profile CONFIG` makes one")
    if values.get("version") != VERSION:
        raise ProfileError(
            f"{path} is a profile of version {values.get('version')}, and this Orchard reads "
            f"{VERSION}: measure it anew with `orchard profile`"
        )
    try:
        return msgspec.convert(values, Profile)
    except msgspec.ValidationError as error:
        raise ProfileError(f"the profile {path} is damaged: {error}") from error


def check_fits(profile: Profile, *, source: str, task: str, policy: str, prm: str | None) -> None:
    """Raises ``ProfileError`` where a profile was measured for something else."""
    for what, theirs, ours in (
        ("task", profile.task, task),
        ("policy", profile.policy.name, policy),
        ("PRM", profile.prm and profile.prm.name, prm),
    ):
        if theirs != ours:
            raise ProfileError(
                f"the profile {source} was measured with the {what} {theirs!r}, and this cell has "
                f"{ours!r}, on which depends what is best: measure one with `orchard profile`"
            )
