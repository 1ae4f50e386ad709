import pytest

from orchestrator.tasks.math.reading.latex import compact, normalise, plain


@pytest.mark.parametrize(
    ("answer", "same"),
    [
        (r"\dfrac12", r"\frac12"),
        ("½", r"\frac{1}{2}"),
        ("x²", "x^{2}"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"( 3, \frac{\pi}{2} )"),
        (r"$\mathbf{5}$.", "5"),
        (r"\[ \boxed{5} \]", "5"),
        ("**5**", "5"),
        ('"5"', "5"),
        ("−3", "-3"),
        (r"\$32,\!348", "$32348"),
        ("1{,}000", "1000"),
        (r"90^{\circ}", r"90^\circ"),
        (r"\\frac{1}{2}", r"\frac{1}{2}"),
        (r"3 \pmod{7}", r"3 \mod 7"),
        ("]1,2[", "(1,2)"),
        (r"f^{\prime}(x)", "f'(x)"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        (r"a \leftarrow b", r"a \leftarrow b"),
    ],
)
def test_spellings_and_decoration_come_down_to_one(answer: str, same: str) -> None:
    assert normalise(answer) == same


@pytest.mark.parametrize(
    "answer", [r"\dfrac12", r"\left(1,2\right]", r"5\text{ cm}", "x^{90^\\circ}", "]1,2]"]
)
def test_normalising_twice_changes_nothing(answer: str) -> None:
    assert normalise(normalise(answer)) == normalise(answer)


def test_text_is_marked_and_kept() -> None:
    assert plain(normalise(r"3 \text{ million}")) == "3 million"
    assert normalise(r"3 \text{ million}") != normalise("3 million")


def test_spaces_between_letters_or_digits_count_and_others_do_not() -> None:
    assert compact("2 x + 1 2") == "2 x+1 2"
