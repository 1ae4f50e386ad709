"""Which replica goes on which GPUs, each at the least memory it needs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from servers.fleet.checkpoint import Checkpoint
from servers.fleet.gpus import GPU
from servers.fleet.memory import MemoryDemand, demand, splits
from servers.fleet.spec import ServiceSpec

USABLE = 0.95
"""Of a GPU's memory, what all its replicas take together; the rest is for fragmentation and what
the estimates miss. vLLM's own 0.92 leaves 72B on two H100s no KV cache for a useful batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A replica on its GPUs, which are of one kind."""

    service: ServiceSpec
    replica: int
    gpus: tuple[GPU, ...]
    demand: MemoryDemand


def usable(gpu: GPU) -> int:
    """Bytes of a GPU that replicas may take: what others use comes off."""
    return int(USABLE * gpu.memory) - gpu.used


def pack(
    services: Sequence[ServiceSpec], checkpoints: Mapping[str, Checkpoint], gpus: Sequence[GPU]
) -> list[Seat] | None:
    """A seat for every replica, or None where no arrangement was found.

    Each service is split over the fewest GPUs that hold a replica; where the replicas then do not
    fit together, the largest are split further. Equal arguments give equal seats.
    """
    degrees = {
        service.name: list(_degrees(service, checkpoints[service.name], gpus))
        for service in services
    }
    while all(degrees.values()):
        chosen = {name: options[0] for name, options in degrees.items()}
        for spread in (True, False):
            seats = _seats(services, chosen, checkpoints, gpus, spread=spread)
            if seats is not None:
                return seats
        splittable = [name for name, options in degrees.items() if len(options) > 1]
        if not splittable:
            return None
        largest = max(splittable, key=lambda name: checkpoints[name].weights / chosen[name])
        del degrees[largest][0]
    return None


def _degrees(service: ServiceSpec, checkpoint: Checkpoint, gpus: Sequence[GPU]) -> Iterator[int]:
    """Degrees of tensor parallelism at which a replica has room on GPUs that hold nothing else."""
    powers = [1 << exponent for exponent in range(len(gpus).bit_length())]
    for degree in powers if service.tensor_parallel is None else [service.tensor_parallel]:
        if splits(checkpoint, degree) and any(
            sum(usable(gpu) >= demand(service, checkpoint, degree, gpu).least for gpu in kind)
            >= degree
            for kind in _kinds(gpus)
        ):
            yield degree


def _kinds(gpus: Sequence[GPU]) -> list[list[GPU]]:
    """GPUs by model: a replica's work is split evenly, so its GPUs must be alike."""

    def kind(gpu: GPU) -> tuple[str, int]:
        return gpu.name, gpu.memory

    return [list(alike) for _, alike in groupby(sorted(gpus, key=kind), kind)]


def _seats(
    services: Sequence[ServiceSpec],
    degrees: Mapping[str, int],
    checkpoints: Mapping[str, Checkpoint],
    gpus: Sequence[GPU],
    *,
    spread: bool,
) -> list[Seat] | None:
    """The largest replicas first, each where most room is left (or least, if not ``spread``)."""
    room = {gpu.index: usable(gpu) for gpu in gpus}
    there: Counter[tuple[str, int]] = Counter()

    def rank(service: ServiceSpec, gpu: GPU) -> tuple[int, int, int]:
        roomy = -room[gpu.index] if spread else room[gpu.index]
        return there[service.name, gpu.index], roomy, gpu.index

    def best_of(kind: Sequence[GPU], service: ServiceSpec, replica: int) -> Seat | None:
        degree = degrees[service.name]
        needs = demand(service, checkpoints[service.name], degree, kind[0])
        ranked = sorted(
            (gpu for gpu in kind if room[gpu.index] >= needs.least),
            key=lambda gpu: rank(service, gpu),
        )
        if len(ranked) < degree:
            return None
        chosen = sorted(ranked[:degree], key=lambda gpu: gpu.index)
        return Seat(service=service, replica=replica, gpus=tuple(chosen), demand=needs)

    seats = []
    for service, replica in _largest_first(services, degrees, checkpoints):
        options = [
            seat for kind in _kinds(gpus) if (seat := best_of(kind, service, replica)) is not None
        ]
        if not options:
            return None
        seat = min(options, key=lambda seat: max(rank(seat.service, gpu) for gpu in seat.gpus))
        for gpu in seat.gpus:
            room[gpu.index] -= seat.demand.least
            there[service.name, gpu.index] += 1
        seats.append(seat)
    return seats


def _largest_first(
    services: Sequence[ServiceSpec],
    degrees: Mapping[str, int],
    checkpoints: Mapping[str, Checkpoint],
) -> list[tuple[ServiceSpec, int]]:
    order = sorted(
        services,
        key=lambda one: (
            -degrees[one.name],
            -checkpoints[one.name].weights / degrees[one.name],
            one.name,
        ),
    )
    return [(service, replica) for service in order for replica in range(service.replicas)]
