"""Majority voting, also known as self-consistency (Wang et al. 2022)."""

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.voting import VoteName
from orchestrator.strategies.voted import Voted


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority(Voted):
    """Sample ``n`` whole solutions; their answers vote, unscored."""

    uses_prm: ClassVar[bool] = False
    vote: ClassVar[VoteName] = "majority"
