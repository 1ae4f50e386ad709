"""The machines of a planned run: what serves each endpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config.reading import read
from orchestrator.config.run import RunConfig
from orchestrator.config.sections import nearest
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell
from orchestrator.strategies.traits import traits
from servers.simulated.hardware import DoesNotFit, Speed, replica_of

POOLED = ("outcome", "qwen_math", "skywork", "trl")
"""PRM families that read the whole path for every score."""

BY_PREFIX = ("math_shepherd", "rlhflow")
"""PRM families whose servers keep a path in their prefix cache and read its new step alone."""

HOSTED = "hosted"

_HOSTED_SPEED = Speed(
    iteration_s=1 / 60, sequence_s=0.0, weights_s=0.0, token_s=1e-6, kv_s=0.0,
    kv_tokens=10**12, max_seqs=10**6, max_batched_tokens=10**9,
)  # fmt: skip
"""60 tokens/s to each of any number of requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """One endpoint's part of a fleet: ``replicas`` of a model of so many GPUs each."""

    endpoint: str
    description: str
    replicas: int
    gpus: int
    speed: Speed


def read_fleet(text: str) -> dict[str, Machines]:
    """``policy=8xH100:1B,prm=2xH100:7B``, or a YAML file that maps the same names to the same.

    Raises ``ConfigError``.
    """
    if not text.strip():
        entries = []
    elif "=" not in text or _is_file(text):
        entries = [(str(name), str(what)) for name, what in read(Path(text)).items()]
    else:
        parts = [part.partition("=") for part in text.split(",")]
        entries = [(name.strip(), what.strip()) for name, _, what in parts]
    found = {}
    for name, what in entries:
        try:
            replicas, gpu, gpus, model = replica_of(what)
            speed = Speed.of(model, gpu, gpus)
        except (DoesNotFit, ValueError) as error:
            raise ConfigError(f"--fleet: {name}: {error}") from None
        found[name] = Machines(
            endpoint=name, description=what, replicas=replicas, gpus=replicas * gpus, speed=speed
        )
    return found


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a file's name can be
        return False


def _used(cells: Sequence[Cell]) -> list[str]:
    names = [each.name for cell in cells for each in cell.policies]
    names += [each.name for cell in cells for each in cell.prms]
    return list(dict.fromkeys(names))


def _hosted(config: RunConfig, cells: Sequence[Cell]) -> dict[str, Machines]:
    """The policies that a cloud serves."""
    return {
        name: Machines(endpoint=name, description=HOSTED, replicas=1, gpus=0, speed=_HOSTED_SPEED)
        for name in _used(cells)
        if name in config.policies and config.policies[name].hosted
    }


def machines_of(
    config: RunConfig, cells: Sequence[Cell], fleet: Mapping[str, Machines]
) -> dict[str, Machines]:
    """The machines behind every endpoint that the cells use: the fleet's, and a cloud's.

    Raises ``ConfigError`` where the fleet does not fit the config, or it cannot be planned for.
    """
    if any(traits(cell.strategy).auto for cell in cells):
        raise ConfigError(
            "auto cannot be planned for, as what it does depends on the problems: leave its cells "
            "out, and plan the strategies that it chooses among"
        )
    hosted = _hosted(config, cells)
    wanted = [name for name in _used(cells) if name not in hosted]
    for name in fleet:
        if name in hosted:
            raise ConfigError(f"--fleet: {name} is a hosted model: leave it out")
        if name not in wanted:
            raise ConfigError(f"--fleet: the run uses no {name!r}: {nearest(name, wanted)}")
    for name in wanted:
        if name not in fleet:
            raise ConfigError(
                f"--fleet says nothing of {name!r}: add `{name}=REPLICASxGPU:SIZE`, such as "
                f"{name}=2xH100:7B"
            )
        prm = config.prms.get(name)
        if prm is not None and prm.family not in (*POOLED, *BY_PREFIX):
            raise ConfigError(
                f"{name}: what a PRM of the family {prm.family} writes is not modelled: plan with "
                f"one of {', '.join((*POOLED, *BY_PREFIX))}"
            )
    return {**fleet, **hosted}
