"""What was asked of vLLM and what it answered, kept for tests without it (``tests/golden/prm``)."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.vllm.references import Score
from tests.vllm.solutions import SOLUTIONS

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "prm"
KEPT = SOLUTIONS[2:5]
"""Signs, lines and letters that a rendering can trip over."""

RECORDS = os.environ.get("ORCHARD_GOLDEN") == "record"


def check(
    name: str,
    family: str,
    options: Mapping[str, str],
    exchanges: Sequence[Mapping[str, Any]],
    reference: Score,
) -> None:
    """Compare the requests of a call that scored ``KEPT`` with those recorded, or record them."""
    path = FOLDER / f"{name}.json"
    if RECORDS:
        FOLDER.mkdir(exist_ok=True)
        content = {
            "family": family,
            "options": options,
            "solutions": [
                {
                    "question": solution.question,
                    "steps": solution.steps,
                    "scores": reference(solution.question, solution.steps),
                }
                for solution in KEPT
            ],
        }
        path.write_text(_one_exchange_a_line(content, sorted(exchanges, key=_request)))
    recorded = json.loads(path.read_text())["exchanges"]
    assert sorted(map(_request, exchanges)) == sorted(map(_request, recorded))


def _one_exchange_a_line(content: Mapping[str, Any], exchanges: Sequence[Mapping[str, Any]]) -> str:
    head = json.dumps(content, ensure_ascii=False, indent=1).removesuffix("\n}")
    lines = ",\n  ".join(json.dumps(exchange, ensure_ascii=False) for exchange in exchanges)
    return f'{head},\n "exchanges": [\n  {lines}\n ]\n}}\n'


def _request(exchange: Mapping[str, Any]) -> str:
    return f"{exchange['path']} {json.dumps(exchange['request'], ensure_ascii=False)}"
