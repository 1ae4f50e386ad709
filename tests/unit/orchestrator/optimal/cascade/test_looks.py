"""What looks show: each policy's own features, and whether policies agree."""

from orchestrator.optimal.cascade.looks import shown
from orchestrator.optimal.cascade.plan import Look
from orchestrator.optimal.difficulty.evidence import Pilot


def pilot(answer: int | None, score: float = 0.5) -> Pilot:
    return Pilot(answer=answer, scores=(score,), tokens=10)


QUESTION = Look(policy="small", prm=None, pilots=0)
GREEDY = Look(policy="small", prm=None, pilots=1)
PILOTS = Look(policy="small", prm=None, pilots=3)
SCORED = Look(policy="small", prm="prm", pilots=3)
LARGE = Look(policy="large", prm=None, pilots=1)

DRAWN = {"small": [pilot(1, 0.9), pilot(1, 0.1), pilot(2, 0.2)], "large": [pilot(1)]}


def test_a_greedy_solution_alone_shows_no_agreement_and_no_scores() -> None:
    assert shown([GREEDY], DRAWN).keys() == {"small/answered", "small/length"}


def test_pilots_show_agreement_and_only_scored_ones_their_scores() -> None:
    unscored, scored = shown([PILOTS], DRAWN), shown([SCORED], DRAWN)
    assert unscored["small/agreement"] == 2 / 3
    assert "small/score" not in unscored
    assert scored["small/first"] == 0.9


def test_the_last_look_at_a_policy_counts() -> None:
    assert shown([GREEDY, SCORED], DRAWN) == shown([SCORED], DRAWN)


def test_one_model_s_answers_are_evidence_for_the_next() -> None:
    agreeing = shown([GREEDY, LARGE], DRAWN)
    assert agreeing["large/same/small"] == 1.0
    apart = shown([GREEDY, LARGE], DRAWN | {"large": [pilot(2)]})
    assert apart["large/same/small"] == 0.0


def test_a_look_at_the_question_alone_shows_its_length_before_anything_is_drawn() -> None:
    assert shown([QUESTION], {}, 100).keys() == {"small/question_length"}
    later = shown([QUESTION, GREEDY], DRAWN, 100)
    assert later == shown([GREEDY], DRAWN, 100)
    assert later["small/question_length"] == shown([QUESTION], {}, 100)["small/question_length"]


def test_a_question_states_no_answer_to_agree_with() -> None:
    assert shown([QUESTION, LARGE], {"large": [pilot(1)]}, 100)["large/same/small"] == 0.0


def test_answers_that_are_missing_do_not_agree() -> None:
    nothing = {"small": [pilot(None)], "large": [pilot(None)]}
    assert shown([GREEDY, LARGE], nothing)["large/same/small"] == 0.0
