"""Every PRM family against what real vLLM answered it, and the scores its authors' code gives.

``make test-vllm`` compares the requests with the server itself; see ``tests/golden/README.md``.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.node import root
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.endpoints.prm import prms_by_route
from orchestrator.endpoints.transport.transport import Endpoint, Transport

GOLDEN = Path(__file__).resolve().parents[4] / "golden" / "prm"
RECORDED = {file.stem: json.loads(file.read_text()) for file in sorted(GOLDEN.glob("*.json"))}
TOLERANCE = 1e-4


class Replayed:
    """Answers as vLLM did, and only what it was asked then, byte for byte."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        self.answers = {
            (exchange["path"], json.dumps(exchange["request"])): exchange["answer"]
            for exchange in exchanges
        }
        self.asked: set[tuple[str, str]] = set()

    async def __aenter__(self) -> "Replayed":
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        key = url.removeprefix("http://vllm"), json.dumps(json.loads(body or b"null"))
        assert key in self.answers, f"not what vLLM was asked: {key}"
        self.asked.add(key)
        return HttpResponse(status=200, content=json.dumps(self.answers[key]).encode())


@pytest.mark.parametrize("name", RECORDED)
async def test_a_family_asks_what_it_asked_vllm_and_reads_its_authors_scores(name: str) -> None:
    golden = RECORDED[name]
    models = {exchange["request"]["model"] for exchange in golden["exchanges"]}
    vllm = Replayed(golden["exchanges"])
    transport = Transport(Endpoint(urls=("http://vllm",), model=models.pop()), vllm)
    prm = next(iter(prms_by_route(golden["family"], transport, **golden["options"]).values()))
    nodes = [
        root(each["question"], seed=1, problem_id="golden").child(i, tuple(each["steps"]))
        for i, each in enumerate(golden["solutions"])
    ]
    scored = await prm.score(nodes)
    assert [list(node.scores) for node in scored] == [
        pytest.approx(each["scores"], abs=TOLERANCE) for each in golden["solutions"]
    ]
    assert vllm.asked == vllm.answers.keys()


def test_every_family_with_a_reference_is_recorded() -> None:
    assert {golden["family"] for golden in RECORDED.values()} == {
        "math_shepherd", "outcome", "qwen_math", "rlhflow", "skywork", "trl",
    }  # fmt: skip
