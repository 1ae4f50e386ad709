"""What a run directory holds the results of."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import msgspec

ENDPOINTS = ("policies", "prms")
"""The sections of an identity that name endpoints."""

Kind = Literal["run", "profile"]
"""What is done with a config's cells: each over all problems, or as its profiles need them."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``identity`` is what the results depend on, by the config's keys."""

    kind: Kind
    identity: dict[str, Any]

    def differences(self, identity: Mapping[str, Any]) -> tuple[str, ...]:
        """The keys of another identity that differ, a line each: ``seed: 0 → 4``. An endpoint that
        only one of the two names changes no result they share."""
        return tuple(_differences(self.identity, identity))

    def extended(self, identity: Mapping[str, Any]) -> Self:
        """With the endpoints that ``identity`` adds; those of earlier starts have results too."""
        endpoints = {section: self.identity[section] | identity[section] for section in ENDPOINTS}
        return type(self)(kind=self.kind, identity={**identity, **endpoints})


def _differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted(before.keys() | now.keys()):
            if place in ENDPOINTS and (key not in before or key not in now):
                continue
            yield from _differences(before.get(key), now.get(key), f"{place}.{key}".lstrip("."))
    elif before != now:
        yield f"{place}: {before} → {now}"
