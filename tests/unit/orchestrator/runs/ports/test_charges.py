import pytest

from orchestrator.core.budget import Price
from orchestrator.core.node import root
from orchestrator.runs.ports.charges import prm_spend

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
PRICE = Price(input=2.5, cached_input=1.25, output=10.0)


def test_what_a_prm_wrote_costs_as_output_and_the_rest_as_input() -> None:
    scored = [ROOT.scored((0.5,), 100, 40, 30), ROOT.scored((0.5,), 50, 0, 10)]
    assert prm_spend(scored, PRICE).cost == pytest.approx(1e-6 * (70 * 2.5 + 40 * 1.25 + 40 * 10))
