"""Records gathered into cells."""

from collections.abc import Callable

from orchestrator.core.records import Record, Verdict
from orchestrator.report.data.cells import gather

RIGHT = Verdict(answer="7", correct=True)


def test_a_vote_that_earlier_problems_were_not_put_to_is_left_out(
    make_record: Callable[..., Record],
) -> None:
    earlier = make_record(problem="a", verdicts={"majority": RIGHT})
    later = make_record(problem="b", verdicts={"majority": RIGHT, "pooled_last": RIGHT})
    failed = make_record(problem="c", verdicts={}, error="lost")
    assert gather([earlier, later, failed])[0].votes == ["majority"]
    assert gather([later, failed])[0].votes == ["majority", "pooled_last"]
    assert gather([failed])[0].votes == []
