import pytest

from orchestrator.tasks.latex import compact, split_list, tidy


@pytest.mark.parametrize(
    ("answer", "same"),
    [
        (r"\dfrac12", r"\frac{1}{2}"),
        (r"\tfrac{1}2", r"\frac{1}{2}"),
        (r"\frac 59", r"\frac{5}{9}"),
        (r"\frac1{72}", r"\frac{1}{72}"),
        ("½", r"\frac{1}{2}"),
        (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}"),
        (r"864 \mbox{ inches}^2", "864"),
        (r"15\mbox{ cm}^2", "15"),
        (r"\text{(C)}", "C"),
        (r"\textbf{(540)}", "540"),
        (r"\text{Evelyn}", "Evelyn"),
        (r"\$32,\!348", "32,348"),
        ("1{,}000", "1,000"),
        (r"90^\circ", "90"),
        (r"90^{\circ}", "90"),
        (r"10\%", "10"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"( 3, \frac{\pi}{2} )"),
        (r"x \in [-2,7]", "[-2,7]"),
        (r"11\sqrt2", r"11\sqrt{2}"),
        (r"$\mathbf{5}$.", "5"),
        ("−3", "-3"),
        (r"3 \text{ and } 5", "3 , 5"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        (r"f \circ g", r"f \circ g"),
        (r"a \leftarrow b", r"a \leftarrow b"),
    ],
)
def test_spellings_units_and_decoration_come_down_to_one(answer: str, same: str) -> None:
    assert tidy(answer) == same


def test_tidying_twice_changes_nothing() -> None:
    for answer in (r"\dfrac12", r"\left(1,2\right]", r"5\text{ cm}", "x^{90^\\circ}"):
        assert tidy(tidy(answer)) == tidy(answer)


def test_spaces_between_digits_part_numbers_and_others_do_not_count() -> None:
    assert compact("2 x + 1 2") == "2x+1 2"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("(3,4]", ("(]", ["3", "4"])),
        (r"\{1, f(2,3)\}", ("{}", ["1", "f(2,3)"])),
        ("1, 2", ("", ["1", "2"])),
        ("(1,2),(3,4)", ("", ["(1,2)", "(3,4)"])),
        (r"(0,9) \cup (9,36)", None),
        ("(a+1)(b+2)", None),
        ("f(1,2)", None),
        ("5", None),
        ("", None),
    ],
)
def test_lists_are_parted_at_their_own_commas(text: str, parts: object) -> None:
    assert split_list(text) == parts
