"""A simulated fleet as a YAML file says it.

::

    services:
      policy: {role: policy, fleet: 8xH100:1B, skill: 0.4, step_tokens: 45}
      prm: {role: prm, fleet: 2xH100:7B, sharpness: 2.5}
    faults: {errors: 0.1, stalls: 0.05, storms: [{at: 60, lasts: 10, retry_after: 5}],
             deaths: [{replica: policy-0, at: 30, lasts: 60}], slow: {policy-1: 10}}
"""

from pathlib import Path

import msgspec
import yaml

from servers.simulated.faults import Death, Faults, Storm
from servers.simulated.fleet import Fleet
from servers.simulated.hardware import DoesNotFit, Speed, replica_of
from servers.simulated.replica import Service, ServiceRole
from servers.simulated.solutions import SimulatedJudge, Writer

_IMPOSSIBLE = (ValueError, LookupError, AttributeError, OverflowError)
"""What PyYAML raises for a value that looks like one of its types and is none: 2026-13-45."""


class FleetFileError(Exception):
    """A file that describes no fleet: what is wrong, and where."""


class _Service(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    role: ServiceRole
    fleet: str
    context: int = 16_384
    skill: float = 0.4
    step_tokens: float = 45.0
    sharpness: float = 2.5


class _Faults(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    seed: int = 0
    errors: float = 0.0
    throttled: float = 0.0
    resets: float = 0.0
    half_closed: float = 0.0
    lies: float = 0.0
    short: float = 0.0
    stalls: float = 0.0
    stall_s: float = 3600.0
    retry_after: float | None = None
    slow: dict[str, float] = {}
    storms: tuple[Storm, ...] = ()
    deaths: tuple[Death, ...] = ()


class _File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    services: dict[str, _Service]
    faults: _Faults = msgspec.field(default_factory=_Faults)


def load(path: Path) -> Fleet:
    """The fleet of a file. Raises ``FleetFileError``."""
    try:
        file = msgspec.convert(yaml.safe_load(path.read_text()), _File)
        services = [_service(name, each) for name, each in file.services.items()]
        return Fleet(services, Faults(**msgspec.structs.asdict(file.faults)))
    except OSError as error:
        raise FleetFileError(f"cannot read {path}: {error.strerror}") from None
    except (DoesNotFit, yaml.YAMLError, RecursionError, *_IMPOSSIBLE) as error:
        raise FleetFileError(f"{path}: {' '.join(str(error).split())}") from None


def _service(name: str, said: _Service) -> Service:
    replicas, gpu, gpus, model = replica_of(said.fleet)
    return Service(
        model=name,
        role=said.role,
        speed=Speed.of(model, gpu, gpus),
        replicas=replicas,
        context=said.context,
        writer=Writer(skill=said.skill, step_tokens=said.step_tokens),
        judge=SimulatedJudge(sharpness=said.sharpness),
    )
