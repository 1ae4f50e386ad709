"""Searches over HTTP whose policy says nothing, is cut, or spells what a PRM takes for a tag."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.ports import Models
from orchestrator.strategies import DVTS, BeamSearch
from tests.integration.misbehaving import CHAT, COMPLETIONS, DEPTH, POOLING, Server, changed
from tests.integration.ports import policy_at, prm_at, problem

SEARCHES = [BeamSearch(n=16), DVTS(n=16)]


def said(text: str, finish: str = "stop", *, only: int | None = None) -> Callable[[Any], None]:
    """Every choice, or one of them, says ``text``."""

    def change(good: Any) -> None:
        for choice in good["choices"] if only is None else good["choices"][only : only + 1]:
            choice.get("message", choice)["content" if "message" in choice else "text"] = text
            choice["finish_reason"] = finish
            choice["stop_reason"] = None

    return change


@pytest.mark.parametrize("search", SEARCHES, ids=["beam search", "DVTS"])
async def test_a_step_that_spells_the_tag_costs_the_tree_nothing(
    server: Server, search: BeamSearch | DVTS
) -> None:
    server.on(CHAT, changed(said("<extra<extra_0>_0>\n\n", only=2)), forever=True)
    async with policy_at(server.url) as policy, prm_at(server.url) as prm:
        leaves = await search(problem(), Models(policy, prm))
    assert [(leaf.finish, len(leaf.steps)) for leaf in leaves] == [("stop", DEPTH)] * 4
    assert not any("extra" in leaf.text for leaf in leaves)
    assert all("extra<" not in text for call in server.seen(POOLING) for text in call.body["input"])


@pytest.mark.parametrize("search", SEARCHES, ids=["beam search", "DVTS"])
async def test_an_end_at_once_is_a_finished_path_and_costs_no_second_request(
    server: Server, search: BeamSearch | DVTS
) -> None:
    server.on(COMPLETIONS, changed(said("")), forever=True)
    async with policy_at(server.url) as policy, prm_at(server.url) as prm:
        leaves = await search(problem(), Models(policy, prm))
    assert [(leaf.finish, leaf.scores[1:]) for leaf in leaves] == [("empty", (0.0,))] * 4
    assert len(server.seen(COMPLETIONS)) == 4


async def test_an_empty_step_is_searched_on(server: Server) -> None:
    server.on(CHAT, changed(said("\n\n")), forever=True)
    async with policy_at(server.url) as policy, prm_at(server.url) as prm:
        (leaf,) = await BeamSearch(n=4)(problem(), Models(policy, prm))
    assert (leaf.finish, len(leaf.steps), set(leaf.scores)) == ("stop", DEPTH, {0.0})
    assert not server.seen(POOLING)


async def test_a_root_whose_samples_are_all_cut_is_sampled_once_more_and_keeps_them(
    server: Server,
) -> None:
    server.on(CHAT, changed(said(r"so \boxed{7}", "length")), forever=True)
    async with policy_at(server.url) as policy, prm_at(server.url) as prm:
        (leaf,) = await BeamSearch(n=4)(problem(), Models(policy, prm))
    assert (leaf.finish, leaf.text) == ("length", r"so \boxed{7}")
    assert len(leaf.scores) == 1 and leaf.scores[0] > 0
    assert len(server.seen(CHAT)) == 2
