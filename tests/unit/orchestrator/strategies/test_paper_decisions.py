"""Each decision of the paper's search on a world that turns on it, and what ``rules: orchard``
decides there. What the paper's rules answer is what the authors' own code answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.expansion_rules import RulesName
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Models
from orchestrator.strategies import DVTS, BeamSearch
from orchestrator.strategies.fallback import Fallback
from orchestrator.testing.fakes import SEPARATOR
from tests.unit.orchestrator.conftest import BoxTask
from tests.unit.orchestrator.strategies.scripted import Sample, ScriptedWorld, answers

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
WORLDS = Path(__file__).parents[3] / "golden" / "paper_search.json"

Script = dict[str, str | list[str]]
"""From a path to what it is sampled as, or to what each of its requests comes to: samples with
their values, separated by "|". ``A`` is a step, ``A!`` the end of a solution, ``A~`` cut at
max_tokens, ``(step)`` a step without text and ``(end)`` an end of sequence at once."""


def models_of(scripted: ScriptedWorld) -> Models:
    return Models(scripted, scripted, BoxTask().is_complete)


def world(script: Script) -> ScriptedWorld:
    samples: dict[str, list[list[Sample]]] = {}
    values: dict[str, float] = {}
    for path, requests in script.items():
        samples[path] = []
        for request in [requests] if isinstance(requests, str) else requests:
            samples[path].append([])
            for said in request.split("|"):
                sample, *number = said.split()
                text = sample.rstrip("!~").replace("(step)", "").replace("(end)", "")
                ends = sample.endswith(("!", "~")) or sample == "(end)"
                reason = "length" if sample.endswith("~") else "stop"
                samples[path][-1].append((text if ends else text + SEPARATOR, reason))
                if number:
                    parent = f"{path}/" if path and not path.endswith(":") else path
                    values[parent + text] = float(number[0])
    return ScriptedWorld(samples=samples, values=values)


async def search(script: Script, slots: int, rules: RulesName, max_depth: int = 40) -> list[Node]:
    beam_search = BeamSearch(n=2 * slots, width=2, rules=rules, max_depth=max_depth)
    scripted = world(script)
    return await beam_search(ROOT, models_of(scripted))


def said(leaves: list[Node]) -> list[str]:
    """``A/B .5``: the path of an answer and its value."""
    return [f"{'/'.join(steps)} {number:g}" for steps, number in answers(leaves)]


CASES: dict[str, tuple[int, Script, list[str], list[str]]] = {
    "a finished path below an open one frees its slot one level late": (
        2,
        {
            "": "A .9 | B! .8",
            "A": "A1 .7 | A2! .6",
            "A/A1": "end! .95 | end2! .1",
        },
        ["B 0.8", "A/A2 0.6"],
        ["B 0.8", "A/A1/end 0.95"],
    ),
    "a finished path above the last open one frees its slot at once": (
        2,
        {
            "": "B! .9 | A .8",
            "A": "A1 .7 | A2! .6",
            "A/A1": "end! .95 | end2! .1",
        },
        ["B 0.9", "A/A1/end 0.95"],
        ["B 0.9", "A/A1/end 0.95"],
    ),
    "a slot that is not free yet goes to whoever is first in the next level": (
        3,
        {
            "": "A .9 | B! .8 | C! .7",
            "A": "A1! .6 | A2! .5",
        },
        ["B 0.8", "C 0.7", "A/A1 0.6"],
        ["B 0.8", "C 0.7", "A/A1 0.6"],
    ),
    "an open path ahead of the answer that takes the last slot is searched no further": (
        2,
        {
            "": "B! .8 | A .9",
            "A": "A1! .6 | A2 .7",
            "A/A2": "end! .95",
        },
        ["B 0.8", "A/A1 0.6"],
        ["B 0.8", "A/A2/end 0.95"],
    ),
    "a dead end answers in the slot it was chosen for": (
        2,
        {
            "": "A .5 | B .4",
            "A": ["A1~", "A1~", "A1~"],
            "B": "B1! .9 | B2! .8",
        },
        ["A 0.5", "B/B1 0.9"],
        ["B/B1 0.9", "B/B2 0.8"],
    ),
    "a dead end takes the slot of an answer that ranks below it": (
        2,
        {
            "": "B! .8 | A .9",
            "A": "A1 .7 | A2! .6",
            "A/A1": ["x~", "x~", "x~"],
        },
        ["B 0.8", "A/A1 0.7"],
        ["B 0.8", "A/A1 0.7"],
    ),
    "a step without text is kept at 0.0 and searched on": (
        1,
        {"": ["(step)", "(step)", "(step)"], "_": "A! .9"},
        ["/A 0"],
        [" -1"],
    ),
    "a step without text ranks last": (
        1,
        {"": "(step) | A .1", "A": "A1! .9"},
        ["A/A1 0.9"],
        ["A/A1 0.9"],
    ),
    "an end of sequence at once is a finished path at 0.0": (
        1,
        {"": "A .5", "A": ["(end)", "(end)", "(end)"]},
        ["A/ 0"],
        ["A 0.5"],
    ),
    "where all samples of the root are cut, whatever the next request brings is kept": (
        2,
        {"": ["x~ | y~", r"A~ .3 | \boxed{4}~ .2", r"A~ .3 | \boxed{4}~ .2"]},
        ["A 0.3", r"\boxed{4} 0.2"],
        ["A 0.3", r"\boxed{4} 0.2"],
    ),
    "the root's second request keeps cut samples beside whole ones": (
        2,
        {"": ["x~", "A~ .9 | B! .2"]},
        ["A 0.9", "B 0.2"],
        ["B 0.2"],
    ),
    "of equal steps the root's second request keeps the last, any other the first": (
        1,
        {"": ["x~", "A~ .9 | A .9"], "A": "B .5 | B! .5", "A/B": "end! .8"},
        ["A/B/end 0.8"],
        ["A/B/end 0.8"],
    ),
    "of equal values the child of the higher parent comes first": (
        3,
        {
            "": "A .4 | B .6 | C! .7",
            "A": "A1! .5",
            "B": "B1! .5",
        },
        ["C 0.7", "B/B1 0.5", "A/A1 0.5"],
        ["C 0.7", "A/A1 0.5", "B/B1 0.5"],
    ),
    "of equal values under one parent they come as the authors' heap has them": (
        2,
        {
            "": "A .9 | B .8",
            "A": "A1! .5 | A2! .5",
            "B": "B1! .4 | B2! .4",
        },
        ["A/A2 0.5", "A/A1 0.5"],
        ["A/A1 0.5", "A/A2 0.5"],
    ),
}


@pytest.mark.parametrize(("slots", "script", "paper", "orchard"), CASES.values(), ids=CASES)
async def test_the_answers_are_the_papers_in_order(
    slots: int, script: Script, paper: list[str], orchard: list[str]
) -> None:
    assert said(await search(script, slots, "paper")) == paper
    assert said(await search(script, slots, "orchard")) == orchard


def recorded() -> list[dict[str, Any]]:
    return json.loads(WORLDS.read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("each", recorded(), ids=range(len(recorded())))
async def test_random_worlds_are_answered_as_the_authors_code_answers_them(
    each: dict[str, Any],
) -> None:
    scripted = ScriptedWorld(
        samples={
            path: [
                [(text.rstrip("~"), "length" if text.endswith("~") else "stop") for text in texts]
                for texts in requests
            ]
            for path, requests in each["samples"].items()
        },
        values=each["values"],
    )
    kind = {"beam_search": BeamSearch, "dvts": DVTS}[each["strategy"]]
    strategy = kind(n=each["n"], width=each["width"], max_depth=each["max_depth"])
    leaves = await strategy(ROOT, models_of(scripted))
    assert answers(leaves) == [(tuple(steps), number) for steps, number in each["answers"]]


async def test_no_request_is_paid_for_a_step_without_text_nor_for_an_end_at_once() -> None:
    script: Script = {"": "(step)", "_": "(end)"}
    scripted = world(script)
    (leaf,) = await BeamSearch(n=2, width=2)(ROOT, models_of(scripted))
    assert scripted.asked == {"": 1, "_": 1}
    assert scripted.scored == []
    assert (leaf.finish, leaf.scores) == ("empty", (0.0, 0.0))


async def test_every_step_after_one_without_text_is_worth_nothing_and_never_shown_to_the_prm() -> (
    None
):
    script: Script = {"": "A .9", "A": "(step)", "A/_": "B .8", "A/_/B": "C! .7"}
    scripted = world(script)
    (leaf,) = await BeamSearch(n=2, width=2)(ROOT, models_of(scripted))
    assert scripted.scored == ["A"]
    assert leaf.scores == (0.9, 0.0, 0.0, 0.0)
    assert leaf.text.strip().startswith("A") and leaf.text.endswith("C")


async def test_a_cut_answer_that_is_kept_is_still_told_from_a_whole_one() -> None:
    leaves = await search({"": ["x~", r"\boxed{4}~ .6 | B! .2"]}, 2, "paper")
    assert [leaf.finish for leaf in leaves] == ["length", "stop"]
    assert leaves[0].scores == (0.6,)


@pytest.mark.parametrize(("rules", "requests"), [("paper", 2), ("orchard", 3)])
async def test_the_root_is_sampled_once_more_under_the_papers_rules(
    rules: RulesName, requests: int
) -> None:
    scripted = world({"": ["x~", "y~ .1", "z~ .1"]})
    await BeamSearch(n=2, width=2, rules=rules)(ROOT, models_of(scripted))
    assert scripted.asked == {"": requests}


async def test_each_try_draws_from_a_seed_of_its_own() -> None:
    seeds = []

    class Cut:
        async def extend(self, node: Node, n: int, sampling: Any) -> list[Node]:
            seeds.append(node.seed)
            if node.steps:
                return [node.child(0, ("cut",), finish="length")]
            return [node.child(0, ("A\n\n",))]

    scripted = world({"": "A .5"})
    (leaf,) = await BeamSearch(n=2, width=2)(ROOT, Models(Cut(), scripted))
    assert (leaf.finish, leaf.scores) == ("dead_end", (0.5,))
    assert len(set(seeds)) == 1 + 3


@pytest.mark.parametrize("finish", ["filtered", "refused", "overflow"])
async def test_a_prompt_that_is_turned_down_is_not_asked_again(finish: Any) -> None:
    asked = []

    class TurnsDown:
        async def extend(self, node: Node, n: int, sampling: Any) -> list[Node]:
            asked.append(node.path)
            if node.steps:
                return [node.child(0, (), finish=finish)]
            return [node.child(0, ("A\n\n",))]

    (leaf,) = await BeamSearch(n=2, width=2)(ROOT, Models(TurnsDown(), world({"": "A .5"})))
    assert (leaf.finish, leaf.steps) == (finish, ("A\n\n",))
    assert asked == [(), (0,)]


def test_dvts_and_searches_that_follow_take_rules_too() -> None:
    assert DVTS(n=4).rules == BeamSearch(n=4).rules == "paper"
    assert Fallback(strategy="dvts", n=4, rules="orchard").search == DVTS(n=4, rules="orchard")


async def test_every_tree_of_dvts_goes_by_its_rules() -> None:
    script: Script = {
        **{f"{tree}:": "A .5" for tree in range(2)},
        **{f"{tree}:A": ["(end)", "(end)", "(end)"] for tree in range(2)},
    }
    for rules, ends in {"paper": "empty", "orchard": "dead_end"}.items():
        scripted = world(script)
        strategy = DVTS(n=4, width=2, rules=rules)  # type: ignore[arg-type]
        leaves = await strategy(ROOT, models_of(scripted))
        assert [leaf.finish for leaf in leaves] == [ends, ends]
