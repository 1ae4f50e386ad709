"""What all PRMs that write verifications share, by way of the judge and ThinkPRM."""

from typing import Any

import pytest

from orchestrator.core.node import derive_seed
from orchestrator.endpoints.prm import PRM_FAMILIES, GenPRM, JudgePRM, ThinkPRM
from orchestrator.errors import BadResponse, ConfigError, ContextOverflow
from tests.unit.orchestrator.endpoints.prm.conftest import QUESTION, STEPS

RIGHT, WRONG = "Verdicts: correct, correct", "Verdicts: correct, incorrect"


async def test_samples_are_averaged(scripted: Any, answers: Any, solution: Any) -> None:
    transport = scripted(*(answers.chat(text, tokens=20) for text in (RIGHT, WRONG, WRONG, RIGHT)))
    (node,) = await JudgePRM(transport=transport, samples=4).score([solution()])
    assert node.scores == (1.0, 0.5)


async def test_what_was_read_and_written_is_counted(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(*[answers.chat(RIGHT, tokens=20, written=5, cached=16)] * 2)
    (node,) = await JudgePRM(transport=transport, samples=2).score([solution()])
    assert (node.prm_tokens, node.prm_cached_tokens) == (50, 32)


async def test_a_sample_that_was_cut_or_cannot_be_read_has_no_vote(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(
        answers.chat(RIGHT),
        answers.chat(WRONG, finish="length"),
        answers.chat("I think it is fine."),
        answers.chat(None),
    )
    (node,) = await JudgePRM(transport=transport, samples=4).score([solution()])
    assert node.scores == (1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "finish", "why"),
    [("no idea", "stop", "none was cut"), (RIGHT, "length", "1 were cut at max_tokens")],
)
async def test_without_any_vote_there_is_no_score_but_an_error(
    scripted: Any, answers: Any, solution: Any, text: str, finish: str, why: str
) -> None:
    prm = JudgePRM(transport=scripted(answers.chat(text, finish=finish)))
    with pytest.raises(BadResponse, match=rf"never with a verdict on every step \({why}\)"):
        await prm.score([solution()])


async def test_one_sample_is_drawn_greedily_and_several_at_the_familys_temperature(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(*[answers.chat(RIGHT)] * 4)
    await JudgePRM(transport=transport).score([solution()])
    await JudgePRM(transport=transport, samples=2).score([solution()])
    await JudgePRM(transport=transport, temperature=0.2).score([solution()])
    assert [sent.body["temperature"] for sent in transport.sent] == [0.0, 0.7, 0.7, 0.2]


async def test_a_bound_the_context_cannot_hold_is_left_out(
    scripted: Any, answers: Any, solution: Any
) -> None:
    too_long = ContextOverflow("maximum context length", url="")
    transport = scripted(too_long, answers.chat(RIGHT))
    (node,) = await JudgePRM(transport=transport).score([solution()])
    assert node.scores == (1.0, 1.0)
    assert [sent.body.get("max_tokens") for sent in transport.sent] == [2048, None]


async def test_a_solution_too_long_for_the_model_ends_alone(
    scripted: Any, answers: Any, solution: Any
) -> None:
    too_long = ContextOverflow("maximum context length", url="")
    prm = JudgePRM(transport=scripted(*[too_long] * 4), max_tokens=None)
    (node,) = await prm.score([solution()])
    assert (node.finish, node.scores) == ("overflow", ())


async def test_the_same_solution_is_verified_with_the_same_seed_and_another_with_another(
    scripted: Any, answers: Any, solution: Any
) -> None:
    text = "Step 1: \\boxed{correct}"
    transport = scripted(*[answers.chat(text)] * 3)
    prm = ThinkPRM(transport=transport)
    await prm.score([solution(("a",)), solution(("a",), index=1), solution(("b",), index=2)])
    seeds = [sent.body["seed"] for sent in transport.sent]
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize("family", ["judge", "thinkprm", "genprm"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"samples": 0}, "samples must be 1 or more, not 0"),
        ({"samples": 4, "temperature": 0.0}, "need a temperature above 0"),
    ],
)
def test_settings_that_cannot_be_right_are_config_errors(
    family: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        PRM_FAMILIES[family](transport=None, **options)  # type: ignore[arg-type]


async def test_what_another_model_wrote_bears_its_name(
    scripted: Any, answers: Any, solution: Any
) -> None:
    for model, named in (("m", None), ("m-2", "m-2")):
        transport = scripted(answers.chat(RIGHT) | {"model": model}, checks_model=False)
        (node,) = await JudgePRM(transport=transport).score([solution()])
        assert node.prm_model == named


async def test_the_seed_of_a_verification_follows_from_what_is_verified(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(*[answers.chat("hm \\boxed{Yes}")] * 2)
    await GenPRM(transport=transport).score([solution()])
    assert [sent.body["seed"] for sent in transport.sent] == [
        derive_seed(0, QUESTION, STEPS[0]), derive_seed(0, QUESTION, *STEPS),
    ]  # fmt: skip


async def test_without_any_vote_all_that_was_drawn_is_counted(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(
        answers.chat("no idea"), answers.chat(RIGHT, finish="length"),
        answers.chat(RIGHT, finish="content_filter"),
    )  # fmt: skip
    prm = JudgePRM(transport=transport, samples=3)
    with pytest.raises(BadResponse, match=r"verified a solution 3 times.*1 were cut.*; 1 are no"):
        await prm.score([solution()])


@pytest.mark.parametrize(("samples", "temperature"), [(0, None), (-1, None), (2, 0.0), (2, 0)])
def test_samples_that_are_none_or_all_the_same_are_refused(
    scripted: Any, samples: int, temperature: float | None
) -> None:
    with pytest.raises(ConfigError, match="samples"):
        JudgePRM(transport=scripted(), samples=samples, temperature=temperature)
    assert JudgePRM(transport=scripted(), samples=1, temperature=0).samples == 1
