"""Why a fleet does not fit on its GPUs, and what would: each remedy named has been tried."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from servers.fleet.checkpoint import Checkpoint
from servers.fleet.gpus import CARDS, GIB, GPU, parse
from servers.fleet.packing import pack
from servers.fleet.spec import ServiceSpec

_MOST_GPUS = 16  # of one machine
_SHORTEST_CONTEXT = 1024
_LARGEST_SHORTAGE = 1024 * GIB


def refusal(
    services: Sequence[ServiceSpec], checkpoints: Mapping[str, Checkpoint], gpus: Sequence[GPU]
) -> str:
    """One line for a fleet that was not packed: what each GPU lacks, and what would fit."""
    fleet = " + ".join(f"{one.replicas} × {one.name}" for one in services)
    lacking = _lacking(services, checkpoints, gpus)
    short = f", {lacking / GIB:.1f} GiB short on each GPU" if lacking else ""
    remedies = list(_remedies(services, checkpoints, gpus))
    advice = f"this would: {'; '.join(remedies)}" if remedies else "take smaller models"
    return f"{fleet} does not fit on {_described(gpus)}{short}: {advice}"


def _lacking(
    services: Sequence[ServiceSpec], checkpoints: Mapping[str, Checkpoint], gpus: Sequence[GPU]
) -> int | None:
    """The least bytes more on each GPU that would do, to a tenth of a GiB; None if none would."""

    def fits(extra: int) -> bool:
        roomier = [replace(gpu, used=gpu.used - extra) for gpu in gpus]
        return pack(services, checkpoints, roomier) is not None

    tenths = range(0, _LARGEST_SHORTAGE, GIB // 10)
    at = bisect_left(tenths, True, key=fits)
    return tenths[at] if at < len(tenths) else None


def _remedies(
    services: Sequence[ServiceSpec], checkpoints: Mapping[str, Checkpoint], gpus: Sequence[GPU]
) -> Iterator[str]:
    """The least change of each sort after which everything fits."""

    def fits(services: Sequence[ServiceSpec], gpus: Sequence[GPU]) -> bool:
        return pack(services, checkpoints, gpus) is not None

    for count in range(len(gpus) + 1, _MOST_GPUS + 1):
        more = [replace(gpus[0], index=index, used=0) for index in range(count)]
        if fits(services, more):
            yield f"{count} × {gpus[0].name}"
            break
    for card in sorted(CARDS, key=lambda name: CARDS[name]):
        others = parse(f"{len(gpus)}x{card}")
        if others[0].memory > max(gpu.memory for gpu in gpus) and fits(services, others):
            yield f"{len(gpus)} × {card}"
            break
    for at, service in enumerate(services):
        for sort in (_fewer_replicas, _other_degree, _shorter_context):
            for changed, what in sort(service):
                if fits([*services[:at], changed, *services[at + 1 :]], gpus):
                    yield what
                    break


def _fewer_replicas(service: ServiceSpec) -> Iterator[tuple[ServiceSpec, str]]:
    for replicas in range(service.replicas - 1, 0, -1):
        noun = "replica" if replicas == 1 else "replicas"
        yield replace(service, replicas=replicas), f"{replicas} {noun} of {service.name}"


def _other_degree(service: ServiceSpec) -> Iterator[tuple[ServiceSpec, str]]:
    if service.tensor_parallel is not None:
        what = f"{service.name} without `tensor_parallel: {service.tensor_parallel}`"
        yield replace(service, tensor_parallel=None), what


def _shorter_context(service: ServiceSpec) -> Iterator[tuple[ServiceSpec, str]]:
    context = service.model.context // 2
    while context >= _SHORTEST_CONTEXT:
        shorter = replace(service.model, context=context)
        what = f"{service.name} with a context of {context:,} tokens"
        yield replace(service, model=shorter), what
        context //= 2


def _described(gpus: Sequence[GPU]) -> str:
    kinds = Counter((gpu.name, gpu.memory) for gpu in gpus)
    in_use = sum(gpu.used for gpu in gpus)
    busy = f", {in_use / GIB:.1f} GiB of it in use" if in_use > GIB else ""
    cards = [f"{n} × {name} ({memory / GIB:.1f} GiB)" for (name, memory), n in kinds.items()]
    return " + ".join(cards) + busy
