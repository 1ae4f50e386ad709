"""Whatever a fleet does wrong: the run completes, its trees are the fault-free run's, and nothing
is paid for twice but what was lost on its way."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from servers.simulated.faults import Death, Faults, Storm
from tests.faults.simulated_run import Outcome, run


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    outcome = run(tmp_path_factory.mktemp("calm"))
    assert len(outcome.records) == 96
    assert outcome.fleet.delivered.again_requests == 0
    return outcome


def check(outcome: Outcome, calm: Outcome) -> None:
    """The same trees, at the same price but for what was lost on its way."""
    assert [each.error or each.ran_out for each in outcome.records if each.error] == []
    assert sum(each.failed_branches for each in outcome.records) == 0
    assert outcome.trees == calm.trees
    has_billed_in_vain = "short" in outcome.fleet.faults.met
    for key, charged in calm.charged.items():  # answers that could not be used are billed too
        now_charged = outcome.charged[key]
        if has_billed_in_vain:
            assert all(a >= b for a, b in zip(now_charged, charged, strict=True))
        else:
            assert now_charged == charged
    assert set(outcome.paid.values()) == {1}
    assert outcome.paid == calm.paid
    now, then = outcome.fleet.delivered, calm.fleet.delivered
    assert now.again_requests == 0
    read, lost = now.prompt_tokens, now.lost_prompt_tokens
    assert read <= then.prompt_tokens <= read + lost
    assert now.generated_tokens == then.generated_tokens


@dataclass(frozen=True)
class Case:
    """Faults of a fleet whose fault-free run takes so many seconds, and what shows that they were
    met."""

    faults: Callable[[float], Faults]
    met: Callable[[Outcome], bool]


def share(name: str, of: float, least: int, **more: float) -> Case:
    faults = Faults(seed=1, **{name: of}, **more)  # type: ignore[arg-type]
    return Case(lambda seconds: faults, lambda outcome: outcome.fleet.faults.met[name] >= least)


def storm(retry_after: float | None) -> Case:
    return Case(
        lambda seconds: Faults(
            storms=(Storm(at=seconds / 4, lasts=20.0, retry_after=retry_after),)
        ),
        lambda outcome: outcome.fleet.faults.met["storms"] >= 40 and outcome.seconds > 20.0,
    )


def death(replica: str | None, at: float, lasts: float | None = None) -> Case:
    def faults(seconds: float) -> Faults:
        window = seconds / 2 if lasts is None else lasts
        return Faults(deaths=(Death(replica=replica, at=seconds * at, lasts=window),))

    def met(outcome: Outcome) -> bool:
        lost_some = outcome.fleet.delivered.lost_requests > 0
        return outcome.fleet.faults.met["deaths"] > 0 and (lost_some or not at)

    return Case(faults, met)


def is_spared(outcome: Outcome) -> bool:
    """Whether the first replica was given some work, and less than half of what the others were."""
    slow, *others = outcome.generated
    return 0 < slow < sum(others) / len(others) / 2


CASES = {
    "10 % of 500s": share("errors", 0.10, 100),
    "5 % resets": share("resets", 0.05, 50),
    "5 % half-closed connections": share("half_closed", 0.05, 50),
    "5 % stalls": share("stalls", 0.05, 50),
    "5 % invalid JSON": share("lies", 0.05, 50),
    "5 % without their last choice or score": share("short", 0.05, 50),
    "10 % of 429s": share("throttled", 0.10, 100),
    "10 % of 429s with Retry-After": share("throttled", 0.10, 100, retry_after=2.0),
    "a storm of 429s": storm(None),
    "a storm of 429s with Retry-After": storm(5.0),
    "a policy's replica dead for half of the run": death("policy-1", 0.25),
    "a PRM's replica dead for half of the run": death("prm-0", 0.25),
    "a replica dead from the start": death("policy-1", 0.0, 1e9),
    "all replicas gone for 30 s": death(None, 0.25, 30.0),
    "a replica ten times slower": Case(lambda seconds: Faults(slow={"policy-0": 10.0}), is_spared),
}


Run = Callable[[str], Outcome]


@pytest.fixture(scope="module")
def run_of(calm: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of a case, which is made once."""

    @cache
    def outcome(name: str) -> Outcome:
        return run(tmp_path_factory.mktemp("run"), CASES[name].faults(calm.seconds))

    return outcome


@pytest.mark.parametrize("name", CASES)
def test_a_run_survives(name: str, calm: Outcome, run_of: Run) -> None:
    outcome = run_of(name)
    check(outcome, calm)
    assert CASES[name].met(outcome)


@pytest.mark.parametrize("name", ["10 % of 500s", "5 % resets", "5 % stalls", "5 % invalid JSON"])
def test_what_fails_before_it_is_computed_costs_nothing(
    name: str, calm: Outcome, run_of: Run
) -> None:
    assert sum(run_of(name).generated) == sum(calm.generated)


def test_what_breaks_off_is_paid_again_once_and_nothing_else_is(calm: Outcome, run_of: Run) -> None:
    outcome = run_of("5 % half-closed connections")
    delivered = outcome.fleet.delivered
    assert delivered.lost_requests == outcome.fleet.faults.met["half_closed"]
    lost = delivered.lost_generated_tokens
    assert sum(outcome.generated) - sum(calm.generated) == lost > 0


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_a_run_survives_everything_at_once(seed: int, calm: Outcome, tmp_path: Path) -> None:
    middle = calm.seconds / 2
    faults = Faults(
        seed=seed,
        errors=0.10, resets=0.05, stalls=0.05, half_closed=0.03, lies=0.03, short=0.03,
        throttled=0.02, retry_after=1.0,
        slow={"policy-0": 10.0},
        storms=(
            Storm(at=middle / 2, lasts=10.0), Storm(at=middle + 60.0, lasts=10.0, retry_after=3.0),
        ),
        deaths=(
            Death(replica="policy-1", at=middle / 2, lasts=60.0),
            Death(replica="prm-0", at=middle, lasts=30.0),
            Death(at=middle + 30.0, lasts=30.0),
        ),
    )  # fmt: skip
    outcome = run(tmp_path, faults)
    check(outcome, calm)
    assert {*Faults.SHARES, "storms", "deaths"} <= outcome.fleet.faults.met.keys()
    assert outcome.seconds > middle + 70.0
