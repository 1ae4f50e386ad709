"""The tiny checkpoints as services of a fleet, each with the flags its family needs."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from transformers import AutoTokenizer

from servers.fleet.gpus import detect
from servers.fleet.launch import running
from servers.fleet.placement import place
from servers.fleet.spec import Flag, FleetSpec, ModelSpec, Role, ServiceSpec
from servers.fleet.state import FleetState
from tests.vllm.models import CONTEXT

API_KEY = "sk-orchard-test"
TOKEN_CLASSIFY = {"task": "token_classify"}


def service(name: str, folder: Path, flags: Mapping[str, Flag], role: Role = "prm") -> ServiceSpec:
    """A checkpoint under its own name, in float32 so that references can be compared closely."""
    model = ModelSpec(
        name=name,
        source=str(folder),
        role=role,
        context=CONTEXT,
        flags={"dtype": "float32", **flags},
    )
    return ServiceSpec(name=name, model=model)


def generating(name: str, folder: Path) -> ServiceSpec:
    """A "+"/"-" PRM as the language model it is."""
    return service(name, folder, {"enable-prompt-tokens-details": True})


def classifying(name: str, folder: Path, labels: list[str], tag: str | None) -> ServiceSpec:
    """A "+"/"-" PRM whose ``/pooling`` answers the chances of its labels: at each ``tag``, or after
    every token."""
    at_tags = {"tok_pooling_type": "STEP", "step_tag_id": last_id(folder, tag)} if tag else {}
    flags: dict[str, Flag] = {
        "runner": "pooling",
        "convert": "classify",
        "hf-overrides": {"method": "no_post_processing", "classifier_from_token": labels},
        "pooler-config": {**TOKEN_CLASSIFY, **at_tags},
    }
    return service(name, folder, flags)


def shepherd_twice(folder: Path) -> tuple[ServiceSpec, ServiceSpec]:
    """``shepherd``, generating, and ``shepherd-pooling``: for each of its routes."""
    # vLLM looks its labels up in the vocabulary, where a sentencepiece word holds its space
    labels = ["▁+", "▁-"]
    return generating("shepherd", folder), classifying("shepherd-pooling", folder, labels, "ки")


def rlhflow_twice(folder: Path) -> tuple[ServiceSpec, ServiceSpec]:
    """``rlhflow``, generating, and ``rlhflow-pooling``: for each of its routes."""
    return generating("rlhflow", folder), classifying("rlhflow-pooling", folder, ["+", "-"], None)


def qwen_math(name: str, folder: Path) -> ServiceSpec:
    pooler = {"step_tag_id": last_id(folder, "<extra_0>")}
    return service(name, folder, {"runner": "pooling", "pooler-config": pooler})


def token_scores(name: str, folder: Path, architecture: str | None = None) -> ServiceSpec:
    """A head's score for every token; ``architecture`` where vLLM lacks the checkpoint's own."""
    flags: dict[str, Flag] = {"runner": "pooling", "pooler-config": TOKEN_CLASSIFY}
    overrides = {"hf-overrides": {"architectures": [architecture]}} if architecture else {}
    return service(name, folder, flags | overrides)


def outcome(name: str, folder: Path) -> ServiceSpec:
    return service(name, folder, {"runner": "pooling"})


def last_id(folder: Path, text: str) -> int:
    """The id of the last token of a text."""
    return int(AutoTokenizer.from_pretrained(folder).encode(text)[-1])


def fleet(name: str, python: Path, *services: ServiceSpec) -> AbstractContextManager[FleetState]:
    """Serve them with real vLLM, all starting at once: on this machine's GPUs, or its CPU."""
    spec = FleetSpec(name=name, services=services, python=python, api_key=API_KEY)
    return running(spec, place(spec, detect()).placements)
