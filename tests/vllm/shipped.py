"""The models that come with Orchard, in configs for real vLLM and for the embedded server."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator.core.records import Record
from orchestrator.storage.store import read_records
from servers.tiny.shipped import MODELS
from tests.vllm.services import last_id

ORCHARD = Path(sys.executable).with_name("orchard")
FLEET, POLICY, PRMS = "shipped", "policy-430k", ("prm-qwen", "prm-shepherd")
CONTEXT = 512
SEARCHES: list[dict[str, Any]] = [
    {"policy": POLICY, "prm": "prm-qwen", "strategy": ["beam_search", "dvts"]},
    {"policy": POLICY, "prm": "prm-shepherd", "strategy": "beam_search"},
]


def models() -> dict[str, Any]:
    """The model table's entries for them."""
    at: dict[str, dict[str, Any]] = {
        name: {"source": str(MODELS / name), "context": CONTEXT} for name in (POLICY, *PRMS)
    }
    at[POLICY] |= {"role": "policy", "prompt": "tiny", "flags": {"max-logprobs": 1}}
    at["prm-qwen"] |= {
        "role": "prm",
        "family": "qwen_math",
        "options": {"system": None},
        "running_minimum": True,
        "flags": {
            "runner": "pooling",
            "pooler-config": {"step_tag_id": last_id(MODELS / "prm-qwen", "<extra_0>")},
        },
    }
    at["prm-shepherd"] |= {
        "role": "prm",
        "family": "math_shepherd",
        "running_minimum": True,
        "flags": {"enable-prompt-tokens-details": True},
    }
    return at


def fleet(python: Path) -> dict[str, Any]:
    """What ``orchard servers up`` reads: two replicas of the policy, one of each PRM."""
    services = {POLICY: {"replicas": 2}, **dict.fromkeys(PRMS)}
    told = {"name": FLEET, "python": str(python), "services": services}
    return {"models": models(), "servers": {"fleet": told}}


def run(servers: Mapping[str, Any], *, problems: int, seed: int) -> dict[str, Any]:
    """Searches of ``problems`` chains; the context leaves no room for a search's usual steps."""
    return {
        "models": models(),
        "servers": servers,
        "task": {"name": "chains", "problems": problems, "seed": seed},
        "policies": {POLICY: None},
        "prms": dict.fromkeys(PRMS),
        "cells": [cell | {"n": 4, "max_tokens": 64} for cell in SEARCHES],
    }


def write(home: Path, name: str, config: Mapping[str, Any]) -> Path:
    path = home / name
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    return path


def orchard(*arguments: str | Path) -> "subprocess.Popen[str]":
    """The installed command, under way."""
    return subprocess.Popen(
        [ORCHARD, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def completed(*arguments: str | Path) -> str:
    """What the command says; it must succeed."""
    with orchard(*arguments) as process:
        said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def searched(config: Path, out: Path) -> list[Record]:
    """A run to its end."""
    completed("run", config, "--out", out)
    return read_records(out)
