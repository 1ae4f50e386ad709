"""Where routed problems went, in words."""

from orchestrator.core.records import Record, Route
from orchestrator.report.routes import routing
from tests.unit.orchestrator.report.conftest import record

MAJORITY = ("majority", {"n": 4}, "majority")
DVTS = ("dvts", {"n": 16}, "max_last")
BEAM = ("beam_search", {"n": 64}, "max_last")


def routed(
    number: int,
    bin: str,
    way: tuple[str, dict[str, object], str],
    rule: str = "profile",
    **budget: object,
) -> Record:
    strategy, settings, vote = way
    route = Route(
        bin=bin, predicted=0.5, strategy=strategy, settings=settings, vote=vote, rule=rule
    )
    settings_of_auto = {"unit": "tokens", **budget}
    return record(
        problem=f"p{number}", strategy="auto", n=0, prm="prm-qwen", route=route,
        settings=settings_of_auto,
    )  # fmt: skip


def said(records: list[Record]) -> str:
    return "\n".join(line.plain for line in routing(records))


def test_each_bin_says_its_strategy_and_how_many_problems_had_it() -> None:
    text = said(
        [
            *(routed(i, "easy", MAJORITY, budget=1200.0) for i in range(5)),
            *(routed(5 + i, "medium", DVTS, budget=1200.0) for i in range(2)),
            routed(9, "hard", BEAM, budget=1200.0),
        ]
    )
    assert text == (
        "Routing of policy-160k (0.16M) under prm-qwen, 1,200 tokens a problem\n"
        "  easy, 5 problems: majority of 4\n"
        "  medium, 2 problems: DVTS 16 with PRM-Last\n"
        "  hard, 1 problem: beam search 64 with PRM-Last\n"
    )


def test_where_a_bin_went_several_ways_the_commonest_come_first_with_their_counts() -> None:
    ways = [MAJORITY, DVTS, DVTS, BEAM, BEAM, BEAM, ("cot", {}, "majority")]
    text = said([routed(i, "easy", way, budget=50.0, pool=True) for i, way in enumerate(ways)])
    assert "50 tokens for all problems" in text
    assert "beam search 64 with PRM-Last (3); DVTS 16 with PRM-Last (2); " in text
    assert text.rstrip().endswith("others (1)")


def test_a_rule_that_was_not_measured_is_named() -> None:
    assert "the authors' rule" in said([routed(1, "easy", DVTS, rule="the authors' rule")])


def test_a_run_without_routing_says_nothing_of_it() -> None:
    assert routing([record()]) == []
