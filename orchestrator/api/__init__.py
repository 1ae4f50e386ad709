"""The library: every public name of ``import orchestrator as orchard``."""

from orchestrator import testing
from orchestrator.api.running import run
from orchestrator.core.budget import Limits, Price, Spend
from orchestrator.core.node import Node
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.core.voting import Majority, Max, Vote, Weighted
from orchestrator.errors import (
    BadResponse,
    BudgetExhausted,
    ConfigError,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
    OrchardError,
    RateLimited,
    RunError,
    ServerError,
    TaskError,
)
from orchestrator.strategies import DVTS, Auto, BeamSearch, BestOfN, CoT

__all__ = [
    "DVTS",
    "Auto",
    "BadResponse",
    "BeamSearch",
    "BestOfN",
    "BudgetExhausted",
    "CoT",
    "ConfigError",
    "EndpointError",
    "EndpointRefused",
    "EndpointUnavailable",
    "Limits",
    "Majority",
    "Max",
    "Node",
    "OrchardError",
    "Price",
    "Problem",
    "RateLimited",
    "Record",
    "RunError",
    "Sampling",
    "ServerError",
    "Spend",
    "TaskError",
    "Vote",
    "Weighted",
    "run",
    "testing",
]
