"""One search algorithm a file, and the dict that names them."""

from orchestrator.core.ports import Strategy
from orchestrator.strategies.auto import Auto
from orchestrator.strategies.beam_search import BeamSearch
from orchestrator.strategies.best_of_n import BestOfN
from orchestrator.strategies.cot import CoT
from orchestrator.strategies.dvts import DVTS
from orchestrator.strategies.majority import MajorityVoting

STRATEGIES: dict[str, type[Strategy]] = {
    "cot": CoT,
    "majority": MajorityVoting,
    "best_of_n": BestOfN,
    "beam_search": BeamSearch,
    "dvts": DVTS,
    "auto": Auto,
}

__all__ = [
    "DVTS",
    "STRATEGIES",
    "Auto",
    "BeamSearch",
    "BestOfN",
    "CoT",
    "MajorityVoting",
    "name_of",
]
