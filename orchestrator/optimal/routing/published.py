"""Without a profile: the rule that the paper's authors gave for their models and tasks."""

from orchestrator.core.difficulty import Bin
from orchestrator.core.voting import Max
from orchestrator.optimal.arms import Arm

LABEL = "the authors' published rule, not measured here"

_7B, _14B, _32B = 7e9, 14e9, 32.9e9


def published_rule(task: str, policy_parameters: int | None, bin: Bin, n: int) -> Arm:
    """The authors' choice, as they stated it (an answer in their repository's issues).

    MATH-500: beam search for policies under 7B, above 32B best-of-N, between DVTS and, for hard
    problems, beam search. AIME24: DVTS under 14B, else best-of-N. Other tasks are taken as MATH,
    policies of unknown size as small.
    """
    size = policy_parameters or 0
    if task.startswith("aime"):
        name = "dvts" if size < _14B else "best_of_n"
    elif size < _7B:
        name = "beam_search"
    elif size <= _32B:
        name = "beam_search" if bin == "hard" else "dvts"
    else:
        name = "best_of_n"
    return Arm(strategy=name, settings={"n": n}, vote=Max("last"))
