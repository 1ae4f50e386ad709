"""The library: every public name of ``import orchestrator as orchard``.

A name loads its module when it is first used. Where it lives stands once, in the imports that type
checkers read.
"""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import testing

if TYPE_CHECKING:
    from orchestrator.api.connected import Connected
    from orchestrator.api.connecting import connect
    from orchestrator.api.endpoints import PolicyEndpoint as Policy
    from orchestrator.api.endpoints import PRMEndpoint as PRM
    from orchestrator.api.evaluation import evaluate
    from orchestrator.api.loading import load_problems
    from orchestrator.api.running import run
    from orchestrator.api.solving import Answer, Solution, solve
    from orchestrator.core.budget import Limits, Price, Spend
    from orchestrator.core.confidence import Confidence
    from orchestrator.core.node import Node
    from orchestrator.core.ports import Models, Sampling, Strategy
    from orchestrator.core.problem import Problem
    from orchestrator.core.records import Record
    from orchestrator.core.task import Grade, Instruction, Task
    from orchestrator.core.voting import (
        BestOfMajority,
        Borda,
        Confident,
        Majority,
        Max,
        MostConfident,
        Pooled,
        TopConfident,
        Vote,
        Voter,
        Weighted,
    )
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
    "BestOfMajority",
    "BestOfN",
    "Borda",
    "BudgetExhausted",
    "CoT",
    "Confidence",
    "Confident",
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
    "MostConfident",
    "Node",
    "OrchardError",
    "Outcome",
    "Policy",
    "Pooled",
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
    "TopConfident",
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


@cache
def _homes() -> dict[str, tuple[str, str]]:
    """The module of each public name, and what it is called there."""
    return {
        alias.asname or alias.name: (str(statement.module), alias.name)
        for statement in ast.walk(ast.parse(Path(__file__).read_text()))
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, called = _homes()[name]
        value = globals()[name] = getattr(import_module(module), called)
        return value
