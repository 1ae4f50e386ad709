import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.json import Decoder

from orchestrator.core.budget import Ledger, Limits, Price, Spend
from orchestrator.core.node import Finish, Node
from orchestrator.core.ports import PRM
from orchestrator.errors import BadResponse, BudgetExhausted, EndpointRefused, EndpointUnavailable
from orchestrator.evaluation.samples import DataSet, LabelledSolution
from orchestrator.evaluation.scoring import TOO_LONG, EvaluatedPRM, Scorer, StoredScores
from orchestrator.formats.jsonlines import JsonLines
from orchestrator.testing.fakes import FakePRM

JUDGE = EvaluatedPRM(name="prm", identity="prm-1")
FREE = Ledger()
"""No limits."""


def sample(number: int, words: int = 2) -> LabelledSolution:
    step = " ".join(["word"] * words)
    return LabelledSolution(
        id=f"s{number}", problem=f"Problem {number}?", steps=(step, "end"), label=-1
    )


SAMPLES = tuple(sample(number) for number in range(20))
DATA = DataSet(name="data", samples=SAMPLES, note="made up")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JsonLines[StoredScores]]:
    with JsonLines(tmp_path / "scores.jsonl", Decoder(StoredScores).decode) as opened:
        yield opened


def prms(prm: PRM) -> Mapping[str, PRM]:
    return {JUDGE.name: prm}


async def test_every_step_is_scored_and_every_text_asked_for_once(
    journal: JsonLines[StoredScores],
) -> None:
    prm, scorer, ticks = FakePRM(judge=lambda _, steps: len(steps) / 4), Scorer.of(journal), []
    twins = [*SAMPLES, *SAMPLES]
    await scorer.run(
        scorer.unscored([JUDGE], twins),
        prms(prm),
        in_flight=4,
        ledger=FREE,
        tick=lambda: ticks.append(1),
    )
    assert len(prm.requests) == len(ticks) == len(SAMPLES)
    judged, failed, tokens = scorer.judged(JUDGE, DATA)
    assert [one.sample for one in judged] == list(SAMPLES) and failed == []
    assert {one.scores for one in judged} == {(0.25, 0.5)}
    assert tokens == prm.tokens > 0


async def test_what_was_scored_is_not_asked_for_again(journal: JsonLines[StoredScores]) -> None:
    first = Scorer.of(journal)
    await first.run(
        first.unscored([JUDGE], SAMPLES[:12]), prms(FakePRM()), in_flight=4, ledger=FREE
    )
    prm, second = FakePRM(), Scorer.of(journal)
    work = second.unscored([JUDGE], SAMPLES)
    assert [sample for _, sample in work] == list(SAMPLES[12:])
    await second.run(work, prms(prm), in_flight=4, ledger=FREE)
    assert len(prm.requests) == 8
    assert Scorer.of(journal).unscored([JUDGE], SAMPLES) == []


async def test_another_prm_or_other_settings_are_scored_anew(
    journal: JsonLines[StoredScores],
) -> None:
    scorer = Scorer.of(journal)
    await scorer.run(scorer.unscored([JUDGE], SAMPLES), prms(FakePRM()), in_flight=4, ledger=FREE)
    other = EvaluatedPRM(name="prm", identity="prm-2")
    assert len(scorer.unscored([JUDGE, other], SAMPLES)) == len(SAMPLES)


async def test_no_more_than_so_many_are_in_flight(journal: JsonLines[StoredScores]) -> None:
    flying, most = 0, 0

    async def pause(node: Node) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.001)
        flying -= 1

    scorer = Scorer.of(journal)
    work = scorer.unscored([JUDGE], SAMPLES)
    await scorer.run(work, prms(FakePRM(pause=pause)), in_flight=5, ledger=FREE)
    assert most == 5


async def test_a_sample_too_long_fails_alone_and_is_tried_again_the_next_time(
    journal: JsonLines[StoredScores],
) -> None:
    data = DataSet(name="data", samples=(sample(0), sample(1, words=50), sample(2)), note="")
    scorer = Scorer.of(journal)
    await scorer.run(
        scorer.unscored([JUDGE], data.samples),
        prms(FakePRM(context=20)),
        in_flight=2,
        ledger=FREE,
    )
    judged, failed, _ = scorer.judged(JUDGE, data)
    assert [one.sample.id for one in judged] == ["s0", "s2"]
    assert [(each.sample, each.reason) for each in failed] == [("s1", TOO_LONG)]
    ((_, again),) = Scorer.of(journal).unscored([JUDGE], data.samples)
    assert again.id == "s1"


async def test_an_answer_that_cannot_be_read_fails_its_sample_alone(
    journal: JsonLines[StoredScores],
) -> None:
    prm = FakePRM(failures={2: BadResponse("3 scores of 2", url="u")})
    scorer = Scorer.of(journal)
    await scorer.run(scorer.unscored([JUDGE], SAMPLES), prms(prm), in_flight=1, ledger=FREE)
    judged, failed, _ = scorer.judged(JUDGE, DATA)
    assert len(judged) == 19
    assert [(each.sample, each.reason) for each in failed] == [("s1", "3 scores of 2")]


@pytest.mark.parametrize("error", [EndpointRefused, EndpointUnavailable])
async def test_an_endpoint_that_is_gone_ends_it_and_what_was_scored_stays(
    journal: JsonLines[StoredScores], error: type[EndpointRefused] | type[EndpointUnavailable]
) -> None:
    prm = FakePRM(failures={6: error("gone", url="u")})
    scorer = Scorer.of(journal)
    with pytest.raises(error, match="gone"):
        await scorer.run(scorer.unscored([JUDGE], SAMPLES), prms(prm), in_flight=1, ledger=FREE)
    assert len(Scorer.of(journal).unscored([JUDGE], SAMPLES)) == 15


async def test_a_budget_ends_it_once_all_that_is_in_flight_is_scored_and_kept(
    journal: JsonLines[StoredScores],
) -> None:
    first, others_done = SAMPLES[0].problem, asyncio.Event()

    async def first_comes_last(node: Node) -> None:
        if node.question == first:
            await others_done.wait()
        elif len(prm.requests) == 7:
            others_done.set()

    prm, scorer = FakePRM(pause=first_comes_last), Scorer.of(journal)
    ledger = Ledger("run", Limits(requests=7))
    work = scorer.unscored([JUDGE], SAMPLES)
    async with asyncio.timeout(5):
        with pytest.raises(BudgetExhausted, match="the run budget of 7 requests is used up"):
            await scorer.run(work, prms(prm), in_flight=4, ledger=ledger)
    assert len(prm.requests) == len(journal.read()) == ledger.spent.requests == 7


async def test_what_a_score_took_is_kept_with_it(journal: JsonLines[StoredScores]) -> None:
    prm, scorer, ledger = FakePRM(), Scorer.of(journal), Ledger()
    judge = EvaluatedPRM(name="prm", identity="prm-1", price=Price(input=2.0, output=0.0))
    work = scorer.unscored([judge], SAMPLES[:3])
    await scorer.run(work, prms(prm), in_flight=1, ledger=ledger)
    spent = Spend()
    for each in journal.read():
        spent.add(each.spent)
    assert spent == ledger.spent
    assert (spent.requests, spent.prm_tokens) == (3, prm.tokens)
    assert spent.cost == pytest.approx(2e-6 * prm.tokens)


async def test_a_step_that_cannot_be_scored_fails_its_sample_and_is_no_score(
    journal: JsonLines[StoredScores],
) -> None:
    class Unable:
        async def score(self, nodes: Sequence[Node]) -> list[Node]:
            return [replace(node.scored((0.0, 0.0)), unscored=True) for node in nodes]

    scorer = Scorer.of(journal)
    work = scorer.unscored([JUDGE], SAMPLES[:1])
    await scorer.run(work, prms(Unable()), in_flight=1, ledger=FREE)
    assert "cannot be scored" in scorer.failures[work[0][0].identity, work[0][1].digest]
    assert Scorer.of(journal).unscored([JUDGE], SAMPLES[:1]) == work


@pytest.mark.parametrize(("finish", "why"), [("filtered", "filter"), ("refused", "refused by")])
async def test_a_sample_that_the_prm_does_not_take_fails_alone(
    journal: JsonLines[StoredScores], finish: Finish, why: str
) -> None:
    class TakesNone(FakePRM):
        async def score(self, nodes: Sequence[Node]) -> list[Node]:
            return [node.ended(finish) for node in nodes]

    data = DataSet(name="data", samples=(sample(0),), note="")
    scorer = Scorer.of(journal)
    work = scorer.unscored([JUDGE], data.samples)
    await scorer.run(work, prms(TakesNone()), in_flight=2, ledger=FREE)
    _, failed, _ = scorer.judged(JUDGE, data)
    assert [why in each.reason for each in failed] == [True]
