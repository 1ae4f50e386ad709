"""What a server bills against what a run says that it used."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import Outcome, Person
from tests.integration.counting import Counting, running_beside
from tests.integration.misbehaving import Server

PRICE = {"input": 3.0, "output": 15.0}


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is over, beside the server that billed for it."""

    person: Person
    server: Counting
    outcome: Outcome

    @property
    def rows(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The cells' rows of the summary, by strategy and N."""
        summary = json.loads((self.person.home / "runs/run/summary.json").read_text())
        return {(row["strategy"], row["n"]): row for row in summary["rows"]}

    @property
    def leaves(self) -> dict[tuple[Any, ...], int]:
        """The tokens of every solution that some cell used, each solution once."""
        return {
            (
                record["policy"], record["problem"], record["settings"]["temperature"],
                tuple(leaf["path"]),
            ): leaf["tokens"]
            for record in self.person.records()
            for leaf in record["leaves"]
        }  # fmt: skip

    def billed(self, what: str, *models: str) -> int:
        return sum(getattr(bill, what) for bill in self.server.of(*models or ("policy", "other")))


Start = Callable[..., Run]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Start]:
    """Runs cells on problems, each given by its text, beside a server that keeps the bill."""
    with ExitStack() as stack:

        def start(
            cells: list[dict[str, Any]],
            questions: list[str],
            server: Counting | None = None,
            **sections: Any,
        ) -> Run:
            counting = stack.enter_context(running_beside(server))
            person = Person(tmp_path, Server())
            person.write(
                "problems.jsonl",
                "".join(json.dumps({"question": q, "answer": "1"}) + "\n" for q in questions),
            )
            at = {"url": counting.url, "prompt": "tiny", "price": PRICE}
            values = {
                "task": {"path": "problems.jsonl"},
                "policies": dict.fromkeys(("policy", "other"), at),
                "prms": {"prm": {"url": counting.url, "family": "qwen_math"}},
                "cells": cells,
                **sections,
            }
            person.write("run.yaml", yaml.safe_dump(values))
            return Run(person, counting, person.orchard("run", "run.yaml"))

        yield start


def asked(count: int) -> list[str]:
    return [f"Problem {i}: what is {i} and {i}?" for i in range(count)]


def whole(strategy: str, n: int, **more: Any) -> dict[str, Any]:
    prm = {"prm": "prm"} if strategy == "best_of_n" else {}
    return {"policy": "policy", "strategy": strategy, "n": n, "max_tokens": 64, **prm, **more}


@pytest.mark.parametrize("takes_n", [True, False])
def test_what_is_drawn_is_what_some_cell_used_and_no_more(run: Start, takes_n: bool) -> None:
    cells = [
        whole("majority", 4),
        whole("best_of_n", 16, problems=2),
        whole("majority", 8, problems=5, temperature=1.0),
        whole("majority", 12, problems=3, policy="other"),
    ]
    done = run(cells, asked(20), Counting(takes_n=takes_n))
    assert done.outcome.code == 0, done.outcome
    drawn = 2 * 16 + 18 * 4 + 5 * 8 + 3 * 12
    assert done.billed("samples") == len(done.leaves) == drawn
    assert done.billed("completion_tokens") == sum(done.leaves.values())


def test_a_cell_pays_for_its_prompts_and_requests_as_if_it_ran_alone(run: Start) -> None:
    cells = [whole("majority", n) for n in (1, 4, 16)]
    done = run(cells, asked(5), Counting(takes_n=False))
    prompt = done.server.bills[0].prompt_tokens
    for n in (1, 4, 16):
        row = done.rows["majority", n]
        assert (row["requests"], row["prompt_tokens"]) == (5 * n, 5 * n * prompt)
    largest = done.rows["majority", 16]
    assert len(done.server.bills) == largest["requests"]
    assert done.billed("prompt_tokens") == largest["prompt_tokens"]
    assert done.billed("completion_tokens") == largest["policy_tokens"]


def test_samples_of_one_request_pay_for_its_prompt_once(run: Start) -> None:
    cells = [whole("majority", n) for n in (1, 4, 16)]
    done = run(cells, asked(5))
    prompt = done.server.bills[0].prompt_tokens
    for n in (1, 4, 16):
        row = done.rows["majority", n]
        assert (row["requests"], row["prompt_tokens"]) == (5, 5 * prompt)
    assert (len(done.server.bills), done.billed("samples")) == (5, 5 * 16)


@pytest.mark.parametrize("takes_n", [True, False])
def test_the_cost_of_a_cell_that_uses_all_that_is_drawn_is_the_bill(
    run: Start, takes_n: bool
) -> None:
    done = run([whole("majority", 4), whole("majority", 8)], asked(5), Counting(takes_n=takes_n))
    bill = 1e-6 * (
        PRICE["input"] * done.billed("prompt_tokens")
        + PRICE["output"] * done.billed("completion_tokens")
    )
    costs = [each["cost"] for each in done.person.records() if each["n"] == 8]
    assert sum(costs) == pytest.approx(bill, abs=1e-8)


def test_samples_that_a_servers_usage_does_not_count_are_charged_all_the_same(run: Start) -> None:
    done = run([whole("majority", 8)], asked(5), Counting(counts_first=True))
    row = done.rows["majority", 8]
    assert done.billed("samples") == 5 * 8
    assert done.billed("completion_tokens") == row["policy_tokens"]
    assert row["emulated"] == ["n"]


@pytest.mark.parametrize("takes_n", [True, False])
def test_answers_that_are_billed_and_cannot_be_used_are_charged_and_wasted(
    run: Start, takes_n: bool
) -> None:
    server = Counting(takes_n=takes_n, breaks_off=3)
    done = run([whole("majority", 4)], asked(6), server, trees=1)
    row = done.rows["majority", 4]
    assert done.billed("samples") > 6 * 4
    assert row["policy_tokens"] == done.billed("completion_tokens")
    assert row["prompt_tokens"] == done.billed("prompt_tokens")
    assert row["wasted_tokens"] == row["policy_tokens"] - sum(done.leaves.values()) > 0


@pytest.mark.parametrize("trees", [1, 3, 64])
def test_problems_of_the_same_text_pay_for_their_own_samples_once(run: Start, trees: int) -> None:
    questions = [asked(2)[i % 2] for i in range(8)]
    cells = [whole(name, n) for n in (2, 8) for name in ("majority", "best_of_n")]
    done = run(cells, questions, trees=trees)
    assert done.billed("samples") == len(done.leaves) == 8 * 8
    assert done.billed("prompt_tokens") == done.rows["majority", 8]["prompt_tokens"]
    assert done.billed("prompt_tokens", "prm") == done.rows["best_of_n", 8]["prm_tokens"]


@pytest.mark.parametrize("takes_n", [True, False])
def test_cells_that_join_a_finished_run_take_what_its_journal_keeps(
    run: Start, takes_n: bool
) -> None:
    done = run([whole("majority", 16)], asked(5), Counting(takes_n=takes_n))
    billed = len(done.server.bills)
    values = yaml.safe_load((done.person.home / "run.yaml").read_text())
    values["cells"].append(whole("majority", 4))
    done.person.write("run.yaml", yaml.safe_dump(values))
    again = done.person.orchard("run", "run.yaml")
    assert again.code == 0, again
    assert len(done.server.bills) == billed
    assert f"{billed} requests, of which {billed} replayed from the journal" in again.out
    assert done.rows["majority", 4]["requests"] == (5 * 4 if not takes_n else 5)


def test_separate_requests_count_towards_a_limit_of_requests(run: Start) -> None:
    done = run([whole("majority", 4)], asked(20), Counting(takes_n=False), budget={"requests": 24})
    assert "the run budget of 24 requests is used up" in done.outcome.out
    assert len(done.server.bills) == 24
