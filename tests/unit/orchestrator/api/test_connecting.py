"""What ``orchard.connect`` is told, and what it refuses before it asks anybody."""

from typing import Any

import pytest

import orchestrator as orchard
from orchestrator.testing import FakePolicy, FakePRM


async def connected(*models: Any) -> tuple[list[str], list[str]]:
    async with orchard.connect(*models) as opened:
        return list(opened.policies), list(opened.prms)


async def test_ports_of_ones_own_are_numbered() -> None:
    assert await connected(FakePolicy()) == (["policy"], [])
    names = await connected([FakePolicy(), FakePolicy()], [FakePRM()])
    assert names == (["policy", "policy-2"], ["prm"])


async def test_two_models_of_one_name_are_refused() -> None:
    twice = [orchard.Policy(url, model="small") for url in ("http://a", "http://b")]
    with pytest.raises(orchard.ConfigError, match="two models are called small"):
        await connected(twice)


async def test_what_is_no_model_is_refused_with_what_to_give() -> None:
    with pytest.raises(orchard.ConfigError, match=r"give orchard\.PRM\(url, family=…\)"):
        await connected(FakePolicy(), "http://gpu:8001/v1")
    with pytest.raises(orchard.ConfigError, match="42 is no policy: give a URL"):
        await connected(42)


async def test_a_hosted_model_is_named() -> None:
    with pytest.raises(orchard.ConfigError, match="serves many models: name one"):
        await connected("https://api.openai.com/v1")


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (lambda: orchard.Policy("http://a", model="m", prompt="qwn"), 'did you mean "qwen"'),
        (lambda: orchard.Policy("http://a", model="m", settings={"hegde": 1}), '"hedge"'),
        (lambda: orchard.Policy("http://a", model="m", timeout=-1), "timeout"),
        (lambda: orchard.Policy("http://a", api_key="k", api_key_env="K"), "either an `api_key`"),
        (lambda: orchard.Policy("http://k:s@a", model="m"), "url"),
    ],
)
async def test_a_mistake_in_a_description_is_one_line_that_names_it(
    model: Any, complaint: str
) -> None:
    with pytest.raises(orchard.ConfigError, match=complaint) as caught:
        await connected(model())
    assert "\n" not in str(caught.value)


async def test_a_family_is_checked_with_its_options() -> None:
    prm = orchard.PRM("http://a", model="m", family="qwen_math", options={"sytem": None})
    with pytest.raises(orchard.ConfigError, match="system"):
        await connected(FakePolicy(), prm)


def test_a_key_is_not_shown() -> None:
    assert "sk-1" not in repr(orchard.Policy("http://a", api_key="sk-1"))


async def test_a_port_that_has_no_price_cannot_keep_a_budget_of_money() -> None:
    async with orchard.connect(FakePolicy()) as models:
        problems = [orchard.Problem(id="p", question="What is 1 + 1?", answer="2")]
        budget = orchard.Limits(cost=1.0)
        with pytest.raises(orchard.ConfigError, match="price"):
            await anext(orchard.evaluate(problems, models, [orchard.CoT()], budget=budget))
