"""A fleet onto GPUs: where each replica lies, and what memory it gets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from servers.fleet.checkpoint import Checkpoint, read
from servers.fleet.gpus import GPU
from servers.fleet.memory import CUDA_CONTEXT, MemoryDemand, splits
from servers.fleet.packing import Seat, pack, usable
from servers.fleet.refusal import refusal
from servers.fleet.spec import FleetError, FleetSpec, Placement, ServiceSpec

_PARTS = {"policy": 2, "prm": 1}
"""How what is left on a GPU is divided among KV caches. A policy's holds a sequence for hundreds of
passes, and the search is no faster than they are; a PRM reads it in one or two, and reads it again
where its cache was too small to keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementPlan:
    """The replicas of a fleet in the order of its services; ``demands`` by service, none on a CPU.

    A service's demand is that on its first replica's GPUs: on GPUs of another kind the overhead
    is another (each placement has its own).
    """

    placements: tuple[Placement, ...]
    demands: Mapping[str, MemoryDemand]

    def tokens(self, placement: Placement) -> int:
        """Tokens that the replica's KV cache holds."""
        return placement.kv_cache // self.demands[placement.service].token

    def sequences(self, placement: Placement) -> float:
        """Sequences of the whole context that it holds at once."""
        return self.tokens(placement) / self.demands[placement.service].context


def place(spec: FleetSpec, gpus: Sequence[GPU]) -> PlacementPlan:
    """Where the replicas of ``spec`` go on ``gpus``, or on the CPU where it may and there are none.

    Raises ``FleetError`` where a model's size is not known, or the fleet does not fit: then it
    says by how much, and what would.
    """
    if spec.device == "cpu" or (spec.device == "auto" and not gpus):
        replicas = [(one, index) for one in spec.services for index in range(one.replicas)]
        placements = [Placement(service=one.name, replica=index) for one, index in replicas]
        return PlacementPlan(placements=tuple(placements), demands={})
    if not gpus:
        raise FleetError(
            f"fleet {spec.name} is for GPUs (`device: gpu`), and no NVIDIA driver shows one: take "
            "`device: auto`, or plan with --gpus for a machine that has them"
        )
    checkpoints = {service.name: read(service.model) for service in spec.services}
    return arrange(spec.services, checkpoints, gpus)


def arrange(
    services: Sequence[ServiceSpec], checkpoints: Mapping[str, Checkpoint], gpus: Sequence[GPU]
) -> PlacementPlan:
    """``place`` with the models' sizes at hand. Raises ``FleetError`` where they do not fit."""
    for service in services:
        _check_degree(service, checkpoints[service.name], len(gpus))
    seats = pack(services, checkpoints, gpus)
    if seats is None:
        raise FleetError(refusal(services, checkpoints, gpus))
    caches = _kv_caches(seats)
    order = {service.name: position for position, service in enumerate(services)}
    seated = sorted(
        zip(seats, caches, strict=True),
        key=lambda one: (order[one[0].service.name], one[0].replica),
    )
    return PlacementPlan(
        placements=tuple(_placement(seat, cache) for seat, cache in seated),
        demands={seat.service.name: seat.demand for seat, _ in reversed(seated)},
    )


def _check_degree(service: ServiceSpec, checkpoint: Checkpoint, gpus: int) -> None:
    degree = service.tensor_parallel
    if degree is None:
        return
    if not splits(checkpoint, degree):
        fits = [str(n) for n in range(1, 33) if splits(checkpoint, n)]
        raise FleetError(
            f"{service.name}: tensor_parallel {degree} does not divide its attention heads: "
            f"{' or '.join(fits)} does"
        )
    if degree > gpus:
        raise FleetError(
            f"{service.name}: tensor_parallel {degree} needs {degree} GPUs, there are {gpus}: "
            "lower it or leave it out"
        )


def _kv_caches(seats: Sequence[Seat]) -> list[int]:
    """Bytes of KV cache on each GPU of each seat: its least, and its part of what is left.

    Those that can use only so much are served first and those on several GPUs next, so that what
    they leave goes to the others.
    """
    left = {gpu.index: usable(gpu) for seat in seats for gpu in seat.gpus}
    claims = dict.fromkeys(left, 0)
    for seat in seats:
        for gpu in seat.gpus:
            left[gpu.index] -= seat.demand.least
            claims[gpu.index] += _PARTS[seat.service.model.role]
    caches = [0] * len(seats)
    urgent = sorted(
        range(len(seats)),
        key=lambda at: (seats[at].demand.most_tokens is None, -len(seats[at].gpus)),
    )
    for at in urgent:
        needs, parts = seats[at].demand, _PARTS[seats[at].service.model.role]
        indices = [gpu.index for gpu in seats[at].gpus]
        extra = min(left[index] * parts // claims[index] for index in indices) // needs.token
        tokens = needs.least_tokens + extra
        if needs.most_tokens is not None:
            tokens = min(tokens, needs.most_tokens)
        caches[at] = tokens * needs.token
        for index in indices:
            left[index] -= caches[at] - needs.least_tokens * needs.token
            claims[index] -= parts
    return caches


def _placement(seat: Seat, kv_cache: int) -> Placement:
    needs = seat.demand
    # The CUDA context is there before vLLM takes its share; rounded down, for shares add up.
    share = (needs.weights + needs.overhead - CUDA_CONTEXT + kv_cache) / seat.gpus[0].memory
    return Placement(
        service=seat.service.name,
        replica=seat.replica,
        gpus=tuple(gpu.index for gpu in seat.gpus),
        weights=needs.weights,
        kv_cache=kv_cache,
        overhead=needs.overhead,
        share=math.floor(share * 10_000) / 10_000,
    )
