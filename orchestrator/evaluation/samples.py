"""Solutions whose first wrong step is known, and the scores a PRM gave them."""

from dataclasses import dataclass
from hashlib import blake2b

ALL_RIGHT = -1
"""The label of a solution without a wrong step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSolution:
    """One solution, with ProcessBench's fields (Zheng et al. 2024).

    ``label`` is the index of the first wrong step, from 0, or ``ALL_RIGHT``. ``generator`` names
    the policy; ``final_answer_correct`` is whether the final answer is right, whatever the steps.
    """

    id: str
    generator: str = ""
    problem: str
    steps: tuple[str, ...]
    final_answer_correct: bool | None = None
    label: int

    @property
    def is_right(self) -> bool:
        return self.label == ALL_RIGHT

    @property
    def known_steps(self) -> int:
        """How many steps are known to be right or wrong: what follows an error is neither."""
        return len(self.steps) if self.is_right else self.label + 1

    @property
    def characters(self) -> int:
        return sum(map(len, self.steps))

    @property
    def digest(self) -> str:
        """Identifies the text that a PRM reads, whichever file it came from."""
        text = "\0".join((self.problem, *self.steps))
        return blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Labelled solutions evaluated together; ``note`` says where they come from."""

    name: str
    samples: tuple[LabelledSolution, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSolution:
    """A labelled solution with one score per step, in 0..1."""

    sample: LabelledSolution
    scores: tuple[float, ...]
