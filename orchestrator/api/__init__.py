"""The library: every public name of ``import orchestrator as orchard``."""

from orchestrator import testing
from orchestrator.api.connected import Connected
from orchestrator.api.connecting import connect
from orchestrator.api.endpoints import PolicyEndpoint as Policy
from orchestrator.api.endpoints import PRMEndpoint as PRM
from orchestrator.api.evaluation import evaluate
from orchestrator.api.loading import load_problems
from orchestrator.api.running import run
from orchestrator.api.solving import Answer, Solution, solve
from orchestrator.core.budget import Limits, Price, Spend
from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Sampling, Strategy
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.core.task import Grade, Instruction, Task
from orchestrator.core.voting import Majority, Max, Vote, Voter, Weighted
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
from orchestrator.runs.search import Outcome, SearchProgress
from orchestrator.strategies import DVTS, Auto, BeamSearch, BestOfN, CoT, MajorityVoting
from orchestrator.tasks.math.task import MathTask

__all__ = [
    "DVTS",
    "PRM",
    "Answer",
    "Auto",
    "BadResponse",
    "BeamSearch",
    "BestOfN",
    "BudgetExhausted",
    "CoT",
    "ConfigError",
    "Connected",
    "EndpointError",
    "EndpointRefused",
    "EndpointUnavailable",
    "Grade",
    "Instruction",
    "Limits",
    "Majority",
    "MajorityVoting",
    "MathTask",
    "Max",
    "Models",
    "Node",
    "OrchardError",
    "Outcome",
    "Policy",
    "Price",
    "Problem",
    "RateLimited",
    "Record",
    "RunError",
    "Sampling",
    "SearchProgress",
    "ServerError",
    "Solution",
    "Spend",
    "Strategy",
    "Task",
    "TaskError",
    "Vote",
    "Voter",
    "Weighted",
    "connect",
    "evaluate",
    "load_problems",
    "run",
    "solve",
    "testing",
]
