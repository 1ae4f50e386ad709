import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.terminal import plain


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("50\r100", r"50\r100"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\x9b31m", r"\x9b31m"),
        ("½ of\ta line\n", "½ of\ta line\n"),
    ],
)
def test_control_characters_are_spelled_out(said: str, shown: str) -> None:
    assert plain(said) == shown


@given(st.text())
def test_what_is_plain_stays_so(text: str) -> None:
    assert plain(plain(text)) == plain(text)
