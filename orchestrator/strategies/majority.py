"""Majority voting, also known as self-consistency (Wang et al. 2022)."""

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.voting import Majority, Vote
from orchestrator.strategies.sampling import RepeatedSampling


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityVoting(RepeatedSampling):
    """Sample ``n`` whole solutions; their answers vote, unscored."""

    is_scored: ClassVar[bool] = False
    vote: ClassVar[Vote] = Majority()
