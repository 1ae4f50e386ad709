"""A fleet of simulated replicas, asked in process or over HTTP, and what it served."""

from collections.abc import Sequence
from dataclasses import dataclass

from servers.simulated import wire
from servers.simulated.faults import FaultPlan, Faults, HalfClosed, Reply, shortened
from servers.simulated.replica import Service, SimulatedReplica


@dataclass(slots=True)
class Delivered:
    """What left the fleet. ``again_*`` is the part that had been delivered before: a request with
    the same path and body, of the same model. ``lost_*`` is what was computed and did not leave it
    whole: of requests that died with their replica, the tokens are not known."""

    requests: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    again_requests: int = 0
    again_tokens: int = 0
    lost_requests: int = 0
    lost_prompt_tokens: int = 0
    lost_generated_tokens: int = 0


class Fleet:
    """``services`` of replicas named MODEL-NUMBER, which misbehave as ``faults`` say.

    ``delivered`` counts answers that left it; what was computed, lost answers included, is in each
    replica's ``engine.counts``.
    """

    def __init__(self, services: Sequence[Service], faults: Faults | None = None) -> None:
        self.services = list(services)
        self.replicas = {
            f"{service.model}-{number}": SimulatedReplica(service, f"{service.model}-{number}")
            for service in services
            for number in range(service.replicas)
        }
        self.delivered = Delivered()
        self._seen: set[int] = set()
        self.faults = FaultPlan(faults or Faults(), self.replicas)

    def names(self, model: str) -> list[str]:
        """The replicas of a model."""
        return [name for name, each in self.replicas.items() if each.service.model == model]

    async def handle(self, replica: str, method: str, path: str, body: bytes | None) -> Reply:
        """One request to one replica.

        Raises ``ConnectionRefusedError`` where the replica is down and ``ConnectionResetError``
        where it breaks off.
        """
        server = self.replicas[replica]
        fault = await self.faults.before(replica, method, path, body)
        if isinstance(fault, Reply):
            return fault
        try:
            served = await server.answer(method, path, body)
        except ConnectionResetError:
            self.delivered.lost_requests += 1
            raise
        except wire.Refusal as refusal:
            return Reply(refusal.status, wire.error(refusal.status, str(refusal)))
        if fault is not None:
            self.delivered.lost_requests += 1
            self.delivered.lost_prompt_tokens += served.prompt_tokens
            self.delivered.lost_generated_tokens += served.generated_tokens
            if fault == "half_closed":
                raise HalfClosed(f"{replica} broke off in the middle of its answer")
            return Reply(200, shortened(served.body))
        if method == "POST":
            self._count(server, path, body or b"", served.prompt_tokens, served.generated_tokens)
        return Reply(200, served.body)

    def _count(
        self, server: SimulatedReplica, path: str, body: bytes, read: int, generated: int
    ) -> None:
        delivered = self.delivered
        delivered.requests += 1
        delivered.prompt_tokens += read
        delivered.generated_tokens += generated
        key = hash((server.service.model, path, body))
        if key in self._seen:
            delivered.again_requests += 1
            delivered.again_tokens += generated
        else:
            self._seen.add(key)
