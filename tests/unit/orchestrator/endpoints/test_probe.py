from typing import Any

import pytest

from orchestrator.endpoints.fake import FakePolicy, FakePRM
from orchestrator.endpoints.probe import check_served, probe_policy, probe_prm
from orchestrator.errors import BadResponse, EndpointRefused, EndpointUnavailable


def serving(*names: str, context: int | None = 8192) -> dict[str, Any]:
    return {"data": [{"id": name, "max_model_len": context} for name in names]}


async def test_every_replica_is_asked_for_the_model(scripted: Any) -> None:
    transport = scripted(serving("m"), serving("x", "m"), urls=("http://a/v1", "http://b"))
    assert await check_served(transport) == 8192
    assert [sent.url for sent in transport.sent] == ["http://a/v1/models", "http://b/v1/models"]


@pytest.mark.parametrize(
    ("served", "hint"),
    [(("mm", "other"), "did you mean 'mm'"), (("qwen", "llama"), "it serves: qwen, llama")],
)
async def test_a_model_that_is_not_served_is_refused_with_what_is(
    scripted: Any, served: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(EndpointRefused, match=hint):
        await check_served(scripted(serving(*served)))


async def test_a_policy_shows_what_it_can_do(scripted: Any) -> None:
    abilities = await probe_policy(scripted(serving("m", context=None)), FakePolicy())
    assert (abilities.context, abilities.token_ids) == (None, False)
    assert abilities.continues
    assert abilities.seed_honoured
    assert abilities.samples_differ


async def test_a_policy_that_ignores_seeds_or_repeats_itself_is_found_out(scripted: Any) -> None:
    calls = iter(range(100))
    forgetful = FakePolicy(script=lambda node, index: f"{next(calls)}")
    dull = FakePolicy(script=lambda node, index: "same")
    assert not (await probe_policy(scripted(serving("m")), forgetful)).seed_honoured
    assert not (await probe_policy(scripted(serving("m")), dull)).samples_differ


async def test_a_policy_that_cannot_continue_is_found_out_but_a_dead_one_is_an_error(
    scripted: Any,
) -> None:
    refuses = FakePolicy(failures={3: BadResponse("no", url="")})
    assert not (await probe_policy(scripted(serving("m")), refuses)).continues
    dies = FakePolicy(failures={3: EndpointUnavailable("gone", url="")})
    with pytest.raises(EndpointUnavailable):
        await probe_policy(scripted(serving("m")), dies)


async def test_a_prm_is_tried_with_a_solution_of_two_steps(scripted: Any) -> None:
    prm = FakePRM()
    assert await probe_prm(scripted(serving("m")), prm) == 8192
    assert [len(node.steps) for node in prm.requests[0]] == [2]
