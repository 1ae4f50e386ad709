"""Made-up trials of several models, for which the right plan is known."""

import numpy as np

from orchestrator.core.voting import Majority, Max, Vote
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.cascade.amounts import Amounts
from orchestrator.optimal.cascade.joint import JointTrials, Shown
from orchestrator.optimal.cascade.plan import Look, ModelArm
from orchestrator.optimal.profiling.measured import USED

PILOTS = 4
FEATURES = ("confidence", "backing", "score")


class World:
    """Half of the ``problems`` are hard. Models are added one by one: how often they are right on
    easy and on hard problems, and what a solution of theirs takes, in any unit."""

    def __init__(self, problems: int = 200, draws: int = 4, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.shape = problems, draws
        self.hard = np.arange(problems) % 2 == 1
        self.arms: list[ModelArm] = []
        self.right: list[np.ndarray] = []
        self.amounts: list[np.ndarray] = []
        self.drawn: dict[Look, np.ndarray] = {}
        self.shown: dict[Look, Shown] = {}

    def _rates(self, easy: float, hard: float) -> np.ndarray:
        return np.where(self.hard, hard, easy)[:, None] * np.ones(self.shape)

    def _look(self, look: Look, is_right: np.ndarray, tells: np.ndarray, takes: float) -> None:
        before = [each for other, each in self.shown.items() if other.policy == look.policy]
        known = before[-1:]  # a look shows what earlier ones did, too
        names = [name for each in known for name in each.names]
        names.append(next(name for name in FEATURES if name not in names))
        self.drawn[look] = np.full(self.shape, takes)
        self.shown[look] = Shown(
            names=tuple(names),
            features=np.concatenate([*(each.features for each in known), tells[..., None]], axis=2),
            leading=np.where(is_right, 0, self.random.integers(1, 1000, self.shape)),
            right=is_right.astype(float),
        )

    def question(self, policy: str, telling: float = 0.0) -> None:
        """A look at the question alone, whose length says how hard it is as far as it is
        ``telling``; added before the policy."""
        length = self.random.normal(size=(self.shape[0], 1)) + telling * self.hard[:, None]
        look = Look(policy=policy, prm=None, pilots=0)
        self.drawn[look] = np.zeros(self.shape)
        self.shown[look] = Shown(
            names=("question_length",),
            features=(length * np.ones(self.shape))[..., None],
            leading=np.full(self.shape, -1),
            right=~self.hard[:, None] * np.ones(self.shape),
        )

    def policy(
        self, name: str, easy: float, hard: float, takes: float, *, telling: float = 0.0
    ) -> None:
        """Its greedy answer, whose confidence says whether it is right as far as it is ``telling``,
        in standard deviations."""
        right = self.random.random(self.shape) < self._rates(easy, hard)
        tells = self.random.normal(size=self.shape) + telling * right
        self._look(Look(policy=name, prm=None, pilots=1), right, tells, takes)
        noise = self.random.normal(size=self.shape) + telling * right
        self._look(Look(policy=name, prm=None, pilots=PILOTS), right, noise, PILOTS * takes)
        self._arm(name, None, "cot", 1, Majority(), right, takes)
        self._arm(name, None, "majority", 16, Majority(), self._rates(easy, hard), 16 * takes)

    def prm(
        self, policy: str, name: str, easy: float, hard: float, takes: float, telling: float = 0.0
    ) -> None:
        """Best of 16 solutions of a policy under a PRM, which takes so much for a solution."""
        greedy = Look(policy=policy, prm=None, pilots=1)
        right = self.shown[greedy].right > 0
        solution = float(self.drawn[greedy].mean()) + takes
        tells = self.random.normal(size=self.shape) + telling * right
        self._look(Look(policy=policy, prm=name, pilots=PILOTS), right, tells, PILOTS * solution)
        searched = self._rates(easy, hard)
        self._arm(policy, name, "best_of_n", 16, Max("last"), searched, 16 * solution)

    def search(self, policy: str, name: str, easy: float, hard: float, takes: float) -> None:
        """A tree search under a PRM: after its pilots, and direct."""
        looked = Look(policy=policy, prm=name, pilots=PILOTS)
        for direct in (False, True):
            right = self._rates(easy, hard)
            whole = takes if direct else takes + float(self.drawn[looked].mean())
            self._arm(policy, name, "dvts", 16, Max("last"), right, whole, direct=direct)

    def _arm(
        self,
        policy: str,
        prm: str | None,
        strategy: str,
        n: int,
        vote: Vote,
        right: np.ndarray,
        takes: float,
        *,
        direct: bool = False,
    ) -> None:
        settings = {"temperature": 0.0} if strategy == "cot" else {"n": n}
        arm = Arm(strategy=strategy, settings=settings, vote=vote)
        self.arms.append(ModelArm(policy=policy, prm=prm, arm=arm, direct=direct))
        self.right.append(right.astype(float))
        self.amounts.append(np.full(self.shape, float(takes)))

    @property
    def trials(self) -> JointTrials:
        return JointTrials(
            problems=tuple(map(str, range(self.shape[0]))),
            pilots=PILOTS,
            arms=tuple(self.arms),
            right=np.stack(self.right, axis=2).astype(np.float32),
            used=np.zeros((*self.shape, len(self.arms), len(USED)), dtype=np.float32),
            drawn={look: np.zeros((*self.shape, len(USED))) for look in self.drawn},
            shown=self.shown,
        )

    @property
    def spent(self) -> Amounts:
        return Amounts(arms=np.stack(self.amounts, axis=2), drawn=self.drawn)


def greedy(policy: str) -> ModelArm:
    arm = Arm(strategy="cot", settings={"temperature": 0.0}, vote=Majority())
    return ModelArm(policy=policy, prm=None, arm=arm)
