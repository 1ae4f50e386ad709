"""What a plan comes to on trials: how often it is right, what it uses, and which model answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.optimal.cascade.amounts import Amounts, Path, needs
from orchestrator.optimal.cascade.joint import JointTrials
from orchestrator.optimal.cascade.plan import Action, Cascade
from orchestrator.optimal.cascade.tables import scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOut:
    """By problem and trial ``[p, t]``: how often ``right``, in 0..1; what was ``used``, by the name
    of each measure; and the number of the arm that ``answers``, in ``JointTrials.arms``."""

    right: "NDArray[np.float64]"
    used: "Mapping[str, NDArray[np.float64]]"
    answers: "NDArray[np.int64]"


def carried_out(plan: Cascade, trials: JointTrials, measures: Mapping[str, Amounts]) -> CarriedOut:
    """Carry out a plan in every trial. A problem on which its arm was not tried has NaN."""
    import numpy as np

    shape = trials.right.shape[:2]
    right = np.zeros(shape)
    used = {name: np.zeros(shape) for name in measures}
    answers = np.zeros(shape, dtype=int)

    def follow(action: Action, path: Path, here: "NDArray[np.bool_]") -> None:
        if isinstance(action, int):
            look_on(action, path, here)
            return
        arm = trials.arms.index(action)
        right[here] = trials.right[..., arm][here]
        answers[here] = arm
        for name, amounts in measures.items():
            saved = amounts.saved(needs(action, trials.pilots), path)
            used[name][here] += amounts.arms[..., arm][here]
            if saved is not None:
                used[name][here] -= amounts.drawn[saved][here]

    def look_on(at: int, path: Path, here: "NDArray[np.bool_]") -> None:
        planned = plan.looks[at]
        for name, amounts in measures.items():
            saved = amounts.saved(planned.look, path)
            used[name][here] += amounts.drawn[planned.look][here]
            if saved is not None:
                used[name][here] -= amounts.drawn[saved][here]
        further = (*path, planned.look)
        score = scores(planned.predictor, trials, further)
        bins = np.searchsorted(np.array(planned.limits), score, side="right")
        for bin, action in enumerate(planned.actions):
            follow(action, further, here & (bins == bin))

    follow(plan.first, (), np.full(shape, True))
    return CarriedOut(right=right, used=used, answers=answers)
