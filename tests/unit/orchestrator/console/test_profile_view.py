"""What is printed of a profile."""

from io import StringIO

import msgspec
from rich.console import Console

from orchestrator.console.profile_view import samples
from orchestrator.core.voting import VOTES
from orchestrator.optimal.profile import PASS, Resampled
from tests.unit.orchestrator.optimal.small_profile import small_profile


def test_however_many_votes_there_are_each_has_a_line_that_fits() -> None:
    told = [
        Resampled(vote=vote, n=n, accuracy=0.5, low=0.4, high=0.6)
        for vote in (*VOTES, PASS)
        for n in (1, 2, 4, 8, 16, 32, 64, 128)
    ]
    out = StringIO()
    Console(file=out, width=80).print(
        samples(msgspec.structs.replace(small_profile(), samples=told))
    )
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    header, rows = " ".join(" ".join(lines[:2]).split()), lines[2:]
    assert header == "95 % interval n 1 4 8 16 32 64 128 at 128"
    assert [line.split()[0] for line in rows] == [*VOTES, "pass@n"]
    assert all(line.endswith("[40.0, 60.0]") and "…" not in line for line in rows)
