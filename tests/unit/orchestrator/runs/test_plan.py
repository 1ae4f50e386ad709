from collections.abc import Callable
from dataclasses import replace

from orchestrator.core.ports import Sampling
from orchestrator.optimal.routing.routed import SeparateRouting
from orchestrator.optimal.routing.router import ProfileRouter
from orchestrator.runs.plan import Cell
from orchestrator.strategies import DVTS, BestOfN, CoT
from orchestrator.strategies.fallback import Fallback
from orchestrator.strategies.settings import Stop
from tests.unit.orchestrator.optimal.small_profile import small_profile


def test_a_cells_id_names_all_that_makes_its_results(make_cell: Callable[..., Cell]) -> None:
    assert make_cell("beam_search", n=16).id == (
        "small+prm/beam_search-n16-width4-max_depth40-rewardlast-temperature0.7-top_p1.0"
        "-max_tokens2048"
    )
    assert make_cell("cot").id == "small/cot-temperature0.0-top_p1.0-max_tokens8192"


def test_cells_of_other_settings_or_models_have_other_ids(make_cell: Callable[..., Cell]) -> None:
    cells = [
        make_cell("majority", n=4),
        make_cell("majority", n=16),
        make_cell("majority", n=4, temperature=1.0),
        make_cell("majority", n=4, policy="large"),
        make_cell("best_of_n", n=4),
    ]
    assert len({cell.id for cell in cells}) == 5


def test_rules_are_named_in_a_cells_id_where_they_are_not_the_papers(
    make_cell: Callable[..., Cell],
) -> None:
    paper = make_cell("dvts", n=16, rules="paper")
    assert paper.id == make_cell("dvts", n=16).id and "rules" not in paper.settings
    assert "-rulesorchard-" in make_cell("dvts", n=16, rules="orchard").id


def test_a_cell_searches_by_its_strategy_and_by_what_may_follow_it(
    make_cell: Callable[..., Cell],
) -> None:
    dvts = Fallback(strategy="dvts", n=8, width=4)
    stop = Stop(rule="beta", confidence=0.9)
    assert make_cell("cot").searches == [CoT()]
    followed = make_cell("best_of_n", n=8, stop=stop, then=dvts)
    assert followed.searches == [followed.strategy, DVTS(n=8, width=4)]
    assert make_cell("best_of_n", n=8, stop=stop).searches == [BestOfN(n=8, stop=stop)]


def test_a_routed_cell_searches_by_the_arms_of_its_routing_and_what_may_follow_them(
    make_cell: Callable[..., Cell],
) -> None:
    routing = SeparateRouting(
        router=ProfileRouter(small_profile(followed=True), 200.0),
        sampling=Sampling(temperature=0.7, until="end"),
    )
    searches = replace(make_cell("auto"), routing=routing).searches
    assert [type(each) for each in searches] == [BestOfN, BestOfN, BestOfN, DVTS]


def test_only_a_pool_has_a_cap_and_its_cap_is_no_part_of_the_cells_id(
    make_cell: Callable[..., Cell],
) -> None:
    pool = make_cell("auto", profile="digest", budget=100.0, pool=True)
    alone = make_cell("auto", profile="digest", budget=100.0)
    assert (pool.cap, alone.cap, make_cell("cot").cap) == (100.0, None, None)
    assert pool.id == make_cell("auto", profile="digest", budget=200.0, pool=True).id
    assert "-budget100.0-" in alone.id


def test_the_work_of_a_problem_is_its_solutions_and_of_a_routed_one_those_of_its_fallback(
    make_cell: Callable[..., Cell],
) -> None:
    assert [make_cell(name).weight for name in ("cot", "best_of_n")] == [1, 16]
    assert make_cell("auto", fallback_n=8).weight == 8
