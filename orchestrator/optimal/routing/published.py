"""The rule that the paper's authors gave for their models and tasks, used without a profile."""

from orchestrator.core.difficulty import Bin
from orchestrator.core.voting import Max
from orchestrator.optimal.arms import Arm

LABEL = "the authors' published rule, not measured here"

_7B, _14B, _32B = 7e9, 14e9, 32.9e9


def published_rule(task: str, policy_parameters: int | None, bin: Bin, n: int) -> Arm:
    """The authors' choice, as they stated it in an issue of their repository.

    - MATH-500: beam search for policies under 7B, best-of-N above 32B; in between beam search for
      hard problems and DVTS for others.
    - AIME24: DVTS under 14B, else best-of-N.

    Other tasks are treated like MATH-500, policies of unknown size as small.
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
