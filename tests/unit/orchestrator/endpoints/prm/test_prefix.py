"""The prefix route."""

import math
from typing import Any

import pytest

from orchestrator.core.node import root
from orchestrator.endpoints.prm import MathShepherdPRM
from orchestrator.endpoints.prm.base import Reading
from orchestrator.endpoints.prm.prefix import PrefixRoute
from orchestrator.errors import BadResponse, ConfigError, ContextOverflow

PLUS, MINUS = 648, 387


def verdict(answers: Any, chance: float, **usage: int) -> dict[str, Any]:
    """P(+) among the two labels, of which each has a tenth of that in the whole vocabulary."""
    plus, minus = math.log(chance / 10), math.log((1 - chance) / 10)
    logprobs = {"token_id:5": -0.1, f"token_id:{PLUS}": plus, f"token_id:{MINUS}": minus}
    return dict(answers.next_token(logprobs, **usage))


def labels(answers: Any) -> list[Any]:
    return [answers.tokenize(PLUS), answers.tokenize(MINUS)]


async def test_every_step_without_a_score_is_asked_for_at_its_tag(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(*labels(answers), verdict(answers, 0.25), verdict(answers, 0.75))
    prm = MathShepherdPRM(transport=transport, route="prefix")
    (node,) = await prm.score([solution()])
    assert node.scores == pytest.approx((0.75, 0.25))
    plus, _, last, first = transport.sent
    assert plus.url == "http://host/tokenize"
    assert plus.body == {"model": "m", "prompt": "+", "add_special_tokens": False}
    assert last.url == "http://host/v1/completions"
    assert last.body == {
        "model": "m",
        "prompt": "What is 1 + 1? Add them. ки\nIt is \\boxed{2}. ки",
        "logprob_token_ids": [PLUS, MINUS],
        "logprobs": 2,
        "add_special_tokens": True,
        "max_tokens": 1,
        "temperature": 0.0,
        "return_tokens_as_token_ids": True,
    }
    assert first.body["prompt"] == "What is 1 + 1? Add them. ки"


async def test_steps_that_have_a_score_keep_it_and_are_not_asked_for(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(*labels(answers), *(verdict(answers, p) for p in (0.8, 0.6)))
    prm = MathShepherdPRM(transport=transport, route="prefix")
    first, second = await prm.score([solution(scores=(0.9,), index=i) for i in range(2)])
    assert (first.scores, second.scores) == (
        pytest.approx((0.9, 0.8)),
        pytest.approx((0.9, 0.6)),
    )
    assert len(transport.sent) == 4


async def test_labels_are_looked_up_once(scripted: Any, answers: Any, solution: Any) -> None:
    transport = scripted(*labels(answers), verdict(answers, 0.5), verdict(answers, 0.5))
    prm = MathShepherdPRM(transport=transport, route="prefix")
    for _ in range(2):
        await prm.score([solution(("a",))])
    assert [sent.url for sent in transport.sent].count("http://host/tokenize") == 2


async def test_a_running_minimum_goes_on_from_the_minima_before(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(*labels(answers), verdict(answers, 0.8), verdict(answers, 0.3))
    prm = MathShepherdPRM(transport=transport, route="prefix", running_minimum=True)
    (node,) = await prm.score([solution(scores=(0.5,))])
    assert node.scores == pytest.approx((0.5, 0.5))
    (node,) = await prm.score([node.child(0, ("c",))])
    assert node.scores == pytest.approx((0.5, 0.5, 0.3))


async def test_a_node_with_all_its_scores_costs_nothing(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(*labels(answers))
    prm = MathShepherdPRM(transport=transport, route="prefix")
    (node,) = await prm.score([solution().scored((0.1, 0.2), 50)])
    assert (node.scores, node.prm_tokens) == ((0.1, 0.2), 0)


async def test_each_node_counts_its_own_prefixes_and_what_of_them_was_cached(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(
        *labels(answers),
        verdict(answers, 0.5, tokens=40, cached=0),
        verdict(answers, 0.5, tokens=41, cached=16),
        verdict(answers, 0.5, tokens=30, cached=24),
    )
    prm = MathShepherdPRM(transport=transport, route="prefix")
    one, two = await prm.score([solution(), solution(scores=(0.9,), index=1)])
    assert (one.prm_tokens, one.prm_cached_tokens) == (70, 24)
    assert (two.prm_tokens, two.prm_cached_tokens) == (41, 16)


async def test_one_path_too_long_for_the_prm_ends_alone(
    scripted: Any, answers: Any, solution: Any
) -> None:
    too_long = ContextOverflow("maximum context length", url="")
    good = verdict(answers, 0.5)
    transport = scripted(*labels(answers), good, too_long, good, too_long)
    prm = MathShepherdPRM(transport=transport, route="prefix")
    scored = await prm.score([solution(("a",)), solution(("b",), index=1)])
    assert [node.finish for node in scored] == [None, "overflow"]


@pytest.mark.parametrize("logprobs", [None, {}, {"token_id:648": -1.0}, {"+": -1.0, "-": -2.0}])
async def test_a_server_that_ignores_the_labels_is_a_bad_response(
    scripted_once: Any, answers: Any, solution: Any, logprobs: dict[str, float] | None
) -> None:
    transport = scripted_once(*labels(answers), answers.next_token(logprobs))
    prm = MathShepherdPRM(transport=transport, route="prefix")
    with pytest.raises(BadResponse, match="does not report the log-probabilities"):
        await prm.score([solution(("a",))])


@pytest.mark.parametrize("values", [(None, -1.0), (-1.0, None), (-9999.0, -9999.0)])
async def test_labels_without_a_probability_are_a_bad_response(
    scripted_once: Any, answers: Any, solution: Any, values: tuple[float | None, float | None]
) -> None:
    found = dict(zip((f"token_id:{PLUS}", f"token_id:{MINUS}"), values, strict=True))
    transport = scripted_once(*labels(answers), answers.next_token(found))
    prm = MathShepherdPRM(transport=transport, route="prefix")
    with pytest.raises(BadResponse, match=r"no number \(NaN\)"):
        await prm.score([solution(("a",))])


async def test_a_label_that_is_certain_scores_one_and_the_other_nothing(
    scripted: Any, answers: Any, solution: Any
) -> None:
    sure = {f"token_id:{PLUS}": 0.0, f"token_id:{MINUS}": -9999.0}
    wrong = {f"token_id:{PLUS}": -9999.0, f"token_id:{MINUS}": 0.0}
    transport = scripted(*labels(answers), *map(answers.next_token, (sure, wrong)))
    prm = MathShepherdPRM(transport=transport, route="prefix")
    one, two = await prm.score([solution(("a",)), solution(("b",), index=1)])
    assert (one.scores, two.scores) == ((1.0,), (0.0,))


async def test_a_label_that_is_several_tokens_is_a_bad_response(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.tokenize(PLUS), answers.tokenize(29, 30))
    prm = MathShepherdPRM(transport=transport, route="prefix")
    with pytest.raises(BadResponse, match="takes '-' for 2 tokens"):
        await prm.score([solution()])


def test_a_route_that_does_not_exist_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"route must be pooling or prefix, .* not 'both'"):
        MathShepherdPRM(transport=None, route="both")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("right", "wrong", "score"),
    [
        (-1.0, -1.0, 0.5),
        (math.log(0.9), math.log(0.1), 0.9),
        (math.log(0.1), math.log(0.9), 0.1),
        (-0.5, -9999.0, 1.0),
        (-9999.0, -0.5, 0.0),
        (-9998.0, -9999.0, math.e / (1 + math.e)),
    ],
)
async def test_the_chance_of_the_better_label_is_a_softmax_however_far_apart_they_are(
    scripted: Any, answers: Any, right: float, wrong: float, score: float
) -> None:
    found = {"token_id:1": right, "token_id:2": wrong}
    route = PrefixRoute(
        transport=scripted(answers.next_token(found)), labels=(1, 2), add_special_tokens=False
    )
    (reading,) = await route.read([root("q", seed=1, problem_id="p")], [["text"]])
    assert isinstance(reading, Reading)
    assert list(reading.scores) == [pytest.approx(score)]


@pytest.mark.parametrize(("right", "wrong"), [(-9999.0, -9999.0), (None, -1.0), (-1.0, None)])
async def test_two_labels_that_are_both_impossible_have_no_chance(
    scripted_once: Any, answers: Any, right: float | None, wrong: float | None
) -> None:
    found = {"token_id:1": right, "token_id:2": wrong}
    route = PrefixRoute(
        transport=scripted_once(answers.next_token(found)), labels=(1, 2), add_special_tokens=False
    )
    (reading,) = await route.read([root("q", seed=1, problem_id="p")], [["text"]])
    assert isinstance(reading, BadResponse) and "NaN" in str(reading)
