"""Where routed problems went, in JSON and in words."""

import json
from dataclasses import replace

from orchestrator.core.records import POOL, Record, Route, Verdict
from orchestrator.report.data.summary import summarise, to_json
from orchestrator.report.tables.routing_words import routing
from tests.unit.orchestrator.report.conftest import record

MAJORITY = ("majority", {"n": 4}, "majority")
DVTS = ("dvts", {"n": 16}, "max_last")
BEAM = ("beam_search", {"n": 64}, "max_last")


def routed(
    number: int,
    bin: str,
    way: tuple[str, dict[str, object], str],
    rule: str = "profile",
    *,
    predicted: float = 0.5,
    correct: bool = True,
    **budget: object,
) -> Record:
    strategy, settings, vote = way
    route = Route(
        bin=bin, predicted=predicted, strategy=strategy, settings=settings, vote=vote, rule=rule
    )
    settings_of_auto = {"unit": "tokens", **budget}
    return record(
        problem=f"p{number}", strategy="auto", n=0, prm="prm-qwen", route=route,
        settings=settings_of_auto, verdicts={"auto": Verdict(answer="7", correct=correct)},
    )  # fmt: skip


def said(records: list[Record]) -> str:
    return "\n".join(line.plain for line in routing(summarise(records).routes))


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


def test_a_search_without_pilots_is_another_way_and_named_so() -> None:
    found = [routed(i, "hard", DVTS, budget=50.0) for i in range(3)]
    assert found[0].route is not None
    found[0] = replace(found[0], route=replace(found[0].route, direct=True))
    text = said(found)
    assert "DVTS 16 with PRM-Last (2); DVTS 16 with PRM-Last (no pilots) (1)" in text


def test_where_a_bin_went_several_ways_the_commonest_come_first_with_their_counts() -> None:
    ways = [MAJORITY, DVTS, DVTS, BEAM, BEAM, BEAM, ("cot", {}, "majority")]
    text = said([routed(i, "easy", way, budget=50.0, pool=True) for i, way in enumerate(ways)])
    assert "50 tokens for all problems" in text
    assert "beam search 64 with PRM-Last (3); DVTS 16 with PRM-Last (2); " in text
    assert text.splitlines()[1].endswith("; others (1)")


def test_of_a_pool_it_is_said_how_much_was_used_and_how_many_problems_it_cut() -> None:
    records = [routed(i, "easy", DVTS, rule="pool", budget=500.0, pool=True) for i in range(3)]
    assert "500 tokens for all problems\n" in said(records)
    assert "  90 tokens used; no problem would go on with a larger budget\n" in said(records)
    assert records[0].route is not None
    cut = replace(records[0], route=replace(records[0].route, cut=True))
    unanswered = {"auto": Verdict(answer=None, correct=False)}
    early = replace(records[1], route=None, ran_out=POOL, verdicts=unanswered)
    text = said([cut, early, records[2]])
    assert "2 problems would go on with a larger budget, 1 of them without an answer yet" in text
    (cell,) = json.loads(to_json(summarise([cut, early, records[2]])))["routes"]
    assert cell["pool"] == {"used": 90, "cut": 2, "unanswered": 1}
    for unit, used in (("cost", "$1.50 used"), ("flops", " FLOPs used"), ("seconds", "  2 prob")):
        other = {"unit": unit, "budget": 9.0, "pool": True}
        mine = [replace(each, cost=0.5, settings=other) for each in (cut, early, records[2])]
        assert used in said(mine)


def test_a_rule_that_was_not_measured_is_named() -> None:
    assert "the authors' rule" in said([routed(1, "easy", DVTS, rule="the authors' rule")])


def test_a_run_without_routing_says_nothing_of_it() -> None:
    assert said([record()]) == ""


def test_the_json_holds_where_each_bin_went_and_what_came_of_it() -> None:
    records = [
        routed(0, "easy", MAJORITY, predicted=0.8),
        routed(1, "easy", MAJORITY, predicted=0.6, correct=False),
        routed(2, "easy", DVTS, predicted=0.55),
        routed(3, "hard", BEAM, predicted=0.05, rule="the authors' rule"),
        record(),
    ]
    (cell,) = json.loads(to_json(summarise(records)))["routes"]
    assert (cell["policy"], cell["prm"], cell["task"]) == ("policy-160k", "prm-qwen", "sums")
    assert list(cell["bins"]) == ["easy", "hard"]
    easy, hard = cell["bins"].values()
    assert (easy["problems"], easy["accuracy"], easy["predicted"]) == (3, 0.6667, 0.65)
    assert easy["tokens"] == 30  # 10 of the policy and 20 of the PRM each
    commonest, other = easy["ways"]
    assert commonest["settings"] == {"n": 4}
    told = ("strategy", "vote", "rule", "problems", "predicted", "accuracy", "tokens")
    assert [commonest[key] for key in told] == ["majority", "majority", "profile", 2, 0.7, 0.5, 30]
    assert [other[key] for key in told] == ["dvts", "max_last", "profile", 1, 0.55, 1, 30]
    assert [way["rule"] for way in hard["ways"]] == ["the authors' rule"]


def test_ways_that_differ_in_a_setting_that_words_leave_out_are_apart_in_the_json_alone() -> None:
    wide, narrow = (("beam_search", {"n": 16, "width": w}, "max_last") for w in (8, 4))
    records = [routed(1, "easy", wide), routed(2, "easy", narrow)]
    (cell,) = summarise(records).routes
    assert len(cell.bins["easy"]["ways"]) == 2
    assert "easy, 2 problems: beam search 16 with PRM-Last\n" in said(records)


def test_a_routed_problem_that_failed_counts_as_wrong() -> None:
    failed = routed(1, "easy", MAJORITY)
    records = [routed(0, "easy", MAJORITY), replace(failed, verdicts={}, error="down")]
    assert summarise(records).routes[0].bins["easy"]["accuracy"] == 0.5
