import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plain_text import plain


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\u001b[2J\u001b]0;owned\u0007"),
        ("50\r100", r"50\u000d100"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\x9b31m", r"\u009b31m"),
        ("½ of\ta line\n", "½ of\ta line\n"),
    ],
)
def test_control_characters_are_spelled_out(said: str, shown: str) -> None:
    assert plain(said) == shown


@given(st.text())
def test_what_is_plain_stays_so(text: str) -> None:
    assert plain(plain(text)) == plain(text)
