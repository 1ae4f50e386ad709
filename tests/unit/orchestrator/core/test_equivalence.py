from orchestrator.core.equivalence import classes


class ByValue:
    """Calls answers equal that are the same number, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def extract(self, text: str) -> str | None:
        return text

    async def equal(self, answer: str, reference: str) -> bool:
        self.asked.append((answer, reference))
        return float(answer) == float(reference)


async def test_equal_answers_share_a_class_numbered_as_first_seen() -> None:
    answers = ["0.5", "2", "0.50", None, "2.0", "7", "0.5"]
    assert await classes(ByValue(), answers) == [0, 1, 0, None, 1, 2, 0]


async def test_no_answer_belongs_to_no_class() -> None:
    assert await classes(ByValue(), [None, None]) == [None, None]
    assert await classes(ByValue(), []) == []


async def test_a_distinct_answer_meets_only_the_first_member_of_each_class_and_only_once() -> None:
    grader = ByValue()
    await classes(grader, ["1", "1.0", "1", "2", "1.00", "2", "1.0"])
    assert grader.asked == [("1.0", "1"), ("2", "1"), ("1.00", "1")]
