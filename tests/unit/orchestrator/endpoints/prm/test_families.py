from typing import Any

import pytest

from orchestrator.endpoints.prm import PRM_FAMILIES, prms_by_route
from orchestrator.errors import BadResponse, EndpointRefused

NAN = EndpointRefused(
    "http://host refuses the request (400): Out of range float values are not JSON compliant",
    url="http://host",
)
ASKING = {  # requests before the one that asks for scores
    "math_shepherd": 0,
    "outcome": 0,
    "qwen_math": 0,
    "rlhflow": 1,
    "skywork": 3,
    "trl": 3,
}


@pytest.mark.parametrize("family", PRM_FAMILIES)
def test_a_setting_a_family_does_not_have_is_refused_by_name(family: str) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'tempreature'"):
        PRM_FAMILIES[family](transport=None, tempreature=0.5)  # type: ignore[arg-type, call-arg]


@pytest.mark.parametrize(
    ("family", "settings", "routes"),
    [
        ("qwen_math", {}, ["pooling"]),
        ("judge", {"samples": 1}, ["chat"]),
        ("rlhflow", {}, ["pooling", "prefix"]),
        ("math_shepherd", {"route": "auto"}, ["pooling", "prefix"]),
        ("math_shepherd", {"route": "prefix"}, ["prefix"]),
    ],
)
def test_a_setting_leaves_the_routes_open_that_a_probe_is_to_try(
    scripted: Any, family: str, settings: dict[str, Any], routes: list[str]
) -> None:
    prms = prms_by_route(family, scripted(), running_minimum=True, **settings)
    assert list(prms) == routes
    assert all(type(prm) is PRM_FAMILIES[family] for prm in prms.values())
    assert all(prm.running_minimum for prm in prms.values())


@pytest.mark.parametrize("family", ASKING)
async def test_a_request_refused_for_nan_is_told_as_nan(
    scripted: Any, answers: Any, solution: Any, family: str
) -> None:
    tokenized = [answers.tokenize(i) for i in range(ASKING[family])]
    prm = prms_by_route(family, scripted(*tokenized, NAN))["pooling"]
    with pytest.raises(BadResponse, match=r"computes no number \(NaN\) for a score"):
        await prm.score([solution(("a",))])


async def test_nan_on_the_prefix_route_is_told_as_nan(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.tokenize(1), answers.tokenize(2), NAN)
    prm = prms_by_route("math_shepherd", transport)["prefix"]
    with pytest.raises(BadResponse, match="NaN"):
        await prm.score([solution(("a",))])
