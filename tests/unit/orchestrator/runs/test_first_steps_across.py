"""Plans across models that begin with the question alone, or with a search that has no pilots."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.core.node import FORKS
from orchestrator.core.problem import Problem
from orchestrator.optimal.cascade.plan import Cascade, Look, PlannedLook
from tests.unit.orchestrator.optimal.small_plan import (
    BEAMS,
    GREEDY,
    PILOTS,
    by,
    small_plan,
)
from tests.unit.orchestrator.runs.small_fleet import Fleet

MakeProblems = Callable[[int], list[Problem]]


async def test_a_question_may_decide_before_any_request(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    """Problem 10's question is a character longer than those before."""
    problems = make_problems(11)[8:]
    length = math.log(len(problems[0].question))
    look = PlannedLook(
        look=Look(policy="small", prm=None, pilots=0),
        predictor=by("small/question_length", mean=length + 0.001, weight=-10.0, pilots=0),
        limits=(0.5,),
        actions=(replace(GREEDY, policy="large"), GREEDY),
    )
    fleet = Fleet(Cascade(pilots=PILOTS, first=0, looks=(look,)))
    records = await fleet.run(tmp_path, problems)
    by_question = {each.id: each for each in problems}
    assert fleet.requests == (2, 1, 0)
    for record in records:
        question = by_question[record.problem].question
        is_long = len(question) > len(problems[0].question)
        assert record.question_characters == len(question)
        assert record.route is not None and record.route.policy == ("large" if is_long else "small")
        assert [(each.policy, each.pilots) for each in record.route.looks] == [("small", 0)]
        assert record.samples == 1


async def test_a_direct_search_draws_no_pilots_and_its_leaves_alone_vote(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    fleet = Fleet(Cascade(pilots=PILOTS, first=replace(BEAMS, direct=True)))
    (record,) = await fleet.run(tmp_path / "direct", make_problems(1))
    assert record.route is not None and record.route.direct
    assert record.route.strategy == "beam_search"
    first = fleet.large.requests[0]
    assert (first.node.path, first.n) == ((), 4)  # as an ordinary cell begins
    after_pilots = Fleet(Cascade(pilots=PILOTS, first=BEAMS))
    (other,) = await after_pilots.run(tmp_path / "other", make_problems(1))
    assert other.route is not None and not other.route.direct
    drawn = [request.n for request in after_pilots.large.requests]
    assert drawn[:3] == [1, PILOTS - 1, 4] and len(other.leaves) > PILOTS >= len(record.leaves)
    assert record.wasted_tokens is not None and record.policy_tokens < other.policy_tokens


async def test_a_direct_search_after_a_look_at_its_policy_has_a_tree_beside_it_and_resumes(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    direct = replace(BEAMS, policy="small", direct=True)
    plan = small_plan(hard=direct)
    problems = make_problems(3)[2:]
    (record,) = await Fleet(plan).run(tmp_path / "run", problems, journal=True)
    assert record.route is not None and len(record.route.looks) == 2
    assert all(leaf.path[0] >= FORKS for leaf in record.leaves)  # none of the looks' pilots
    assert record.leaves and record.wasted_tokens is not None and record.wasted_tokens > 0
    (tmp_path / "run" / "records.jsonl").unlink()
    again = Fleet(plan)
    assert await again.run(tmp_path / "run", problems, journal=True) == [record]
    assert again.requests == (0, 0, 0)
