"""Which of two answers comes first never matters."""

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.core.problem import Problem
from orchestrator.tasks.math.comparing.equality import quick
from orchestrator.tasks.math.task import MathTask
from tests.unit.orchestrator.tasks.math.test_task import Algebra, task_with

PROBLEM = Problem(id="p", question="?", answer="1")
NUMBERS = st.sampled_from(["0", "1", "-2", "0.5", r"\frac12", "1/2", "50", r"50\%", "2^3", "3 1/2"])
NAMES = st.sampled_from(["x", "y", "ab", "n_1", r"\pi", r"\theta"])
FORMULAS = st.one_of(
    NUMBERS,
    NAMES,
    st.builds("{}+{}".format, NUMBERS, NAMES),
    st.builds(r"\sqrt{{{}}}".format, NUMBERS),
    st.builds(r"\frac{{{}}}{{{}}}".format, NAMES, NUMBERS),
)
LISTS = st.lists(FORMULAS, min_size=1, max_size=3).map(", ".join)
ANSWERS = st.one_of(
    FORMULAS,
    LISTS,
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["(", "[", r"\{"]),
        LISTS,
        st.sampled_from([")", "]", r"\}"]),
    ),
    st.builds(
        "{} {} {}".format, NAMES, st.sampled_from(["=", "<", r"\le", r"\ne", r"\in"]), FORMULAS
    ),
    st.builds(
        r"{} \text{{ {}}}".format, NUMBERS, st.sampled_from(["cm", "km", "dollars", "dozen"])
    ),
    st.builds("({}) {}".format, st.sampled_from("AB"), FORMULAS),
    st.builds(r"({}, {}) \cup [{}, \infty)".format, NUMBERS, NUMBERS, NUMBERS),
    st.builds("{}:{}".format, NUMBERS, NUMBERS),
    st.sampled_from(
        ["A", "Evelyn", "none", "no solution", "101_2", r"3 \mod 7", "2x + 3y = 6", ""]
    ),
)


@given(ANSWERS, ANSWERS)
@example("(A) 5", "A")
@example("x = 1, y = 2", "(x, y) = (1, 2)")
def test_form_decides_the_same_in_either_order(left: str, right: str) -> None:
    assert quick(left, right) is quick(right, left)


@given(ANSWERS, ANSWERS)
async def test_two_answers_are_the_same_whichever_comes_first(left: str, right: str) -> None:
    found = [
        await task.same(PROBLEM, *pair)
        for task in [task_with(Algebra(verdict=None))]
        for pair in ((left, right), (right, left))
    ]
    assert found[0] is found[1]


@given(ANSWERS)
async def test_an_answer_is_its_own_unless_it_says_nothing(answer: str) -> None:
    assert await MathTask().same(PROBLEM, answer, answer) is bool(answer)


@given(ANSWERS.filter(bool), ANSWERS.filter(bool))
async def test_what_a_box_states_is_graded_as_its_answer_against_the_reference(
    answer: str, reference: str
) -> None:
    task = task_with(Algebra(verdict=None))
    problem = Problem(id="p", question="?", answer=reference)
    grade = await task.grade(problem, rf"So it is \boxed{{{answer}}}.")
    assert grade.answer == await task.extract(problem, rf"So it is \boxed{{{answer}}}.")
    assert grade.answer is not None
    assert grade.correct is await task.same(problem, grade.answer, reference)
    assert task.is_complete(rf"So it is \boxed{{{answer}}}.")
