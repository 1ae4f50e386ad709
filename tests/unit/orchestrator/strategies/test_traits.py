import ast
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

import orchestrator
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Models, Need, Sampling, Strategy
from orchestrator.errors import ConfigError
from orchestrator.strategies import DVTS, STRATEGIES, Auto, BeamSearch, BestOfN, CoT, MajorityVoting
from orchestrator.strategies.building import build, name_of, settings_of
from orchestrator.strategies.fallback import Fallback
from orchestrator.strategies.settings import Stop
from orchestrator.strategies.traits import FirstDraw, Traits, traits
from orchestrator.testing.fakes import FakePolicy, FakePRM

ROOT = root("What is 6 * 7?", seed=1, problem_id="p")
SURE = Stop(rule="beta", batch=2)


@dataclass(frozen=True, kw_only=True)
class TwoGreedy:
    """All that a strategy of one's own has to say."""

    needs: ClassVar[frozenset[Need]] = frozenset()
    n: int = 2

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        return await models.policy.extend(root, self.n, Sampling(temperature=0.0, until="end"))


class NoDataclass:
    needs: ClassVar[frozenset[Need]] = frozenset()
    n = 1

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        return []


@pytest.mark.parametrize(
    ("strategy", "needs"),
    [
        (CoT(), set()),
        (CoT(logprobs=True), {"logprobs"}),
        (MajorityVoting(n=4), set()),
        (MajorityVoting(n=4, stop=SURE), {"answers"}),
        (BestOfN(n=4), {"prm"}),
        (BestOfN(n=4, stop=SURE, logprobs=True), {"prm", "answers", "logprobs"}),
        (BestOfN(stop=SURE, then=Fallback(strategy="dvts")), {"prm", "answers", "continuation"}),
        (BeamSearch(n=4), {"prm", "continuation"}),
        (DVTS(n=4), {"prm", "continuation"}),
        (Auto(), {"prm", "answers"}),
    ],
)
def test_a_strategy_says_what_it_needs(strategy: Strategy, needs: set[Need]) -> None:
    assert strategy.needs == needs


def test_sampling_draws_at_once_what_it_does_not_look_at() -> None:
    for strategy, count in ((CoT(), 1), (MajorityVoting(n=8), 8), (BestOfN(n=8, stop=SURE), 2)):
        assert traits(strategy).first_draw == FirstDraw(strategy.sampling, count)
    assert traits(BestOfN(n=1, temperature=0.0, stop=SURE)).first_draw.count == 1  # type: ignore[union-attr]
    assert traits(DVTS()).first_draw is None


def test_only_sampling_continues_from_solutions_drawn_before() -> None:
    sampling = BestOfN(n=8)
    assert traits(sampling).incremental is sampling
    assert traits(CoT()).incremental is None and traits(BeamSearch()).incremental is None


def test_a_batch_is_as_large_as_the_strategy_says_or_its_caller() -> None:
    leaves = [ROOT.child(i, ("x",), finish="stop") for i in range(3)]
    assert MajorityVoting(n=8).next_batch(leaves, 4) == MajorityVoting(n=7)
    assert MajorityVoting(n=8, stop=SURE).next_batch(leaves, 4) == MajorityVoting(n=5)
    assert MajorityVoting(n=4).next_batch(leaves, 4) == MajorityVoting(n=4)
    followed = BestOfN(n=8, stop=SURE, then=Fallback(strategy="dvts"))
    assert followed.next_batch(leaves, 4) == BestOfN(n=5)


def test_nobody_outside_of_the_strategies_asks_what_class_a_strategy_is() -> None:
    package = Path(orchestrator.__file__).parent
    kinds = {kind.__name__ for each in STRATEGIES.values() for kind in each.__mro__[:-1]}
    asked = []
    for path in package.rglob("*.py"):
        if path.parent.name == "strategies":
            continue
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("isinstance", "type"):
                names = {each.id for each in ast.walk(call) if isinstance(each, ast.Name)}
                asked += [f"{path}: {ast.unparse(call)}"] if names & kinds else []
    assert not asked


def test_a_fallback_is_among_the_searches_that_may_follow() -> None:
    followed = BestOfN(n=8, stop=SURE, then=Fallback(strategy="dvts", n=4))
    assert traits(followed).fallbacks == (DVTS(n=4),)


def test_the_defaults_suit_a_strategy_that_names_no_traits() -> None:
    assert traits(TwoGreedy()) == Traits()


async def test_auto_by_itself_has_no_search() -> None:
    assert traits(Auto()).auto == Auto()
    with pytest.raises(ConfigError, match="auto chooses a strategy for each problem of a run"):
        await Auto()(ROOT, Models(FakePolicy(), FakePRM()))


def test_a_strategy_is_built_from_its_name_and_settings_and_says_them() -> None:
    for name, strategy in STRATEGIES.items():
        built = build(name, {})
        assert (type(built), name_of(built)) == (strategy, name)
        assert build(name, settings_of(built)) == built
    assert name_of(TwoGreedy()) == f"{__name__}:TwoGreedy"
    assert settings_of(TwoGreedy(n=3)) == {"n": 3}


def test_a_profile_of_a_strategy_that_is_not_here_says_so() -> None:
    with pytest.raises(ConfigError, match="no strategy is named 'two_greedy': known are cot, maj"):
        build("two_greedy", {"n": 2})


def test_a_strategy_without_fields_cannot_name_its_results() -> None:
    with pytest.raises(ConfigError, match="NoDataclass is no dataclass"):
        settings_of(NoDataclass())
