"""What a run directory was begun as, which its results are held to: ``begun.json``."""

import shlex
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from orchestrator.config.run import RunConfig
from orchestrator.errors import OtherConfig, RunError
from orchestrator.storage.journal import Journal
from orchestrator.storage.store import BEGUN, CONFIG, VERSIONS, Store
from orchestrator.wiring.versions import versions

ENDPOINTS = ("policies", "prms")
"""The sections of a config that name endpoints."""

Kind = Literal["run", "profile"]
"""What is done with a config's cells: each over all problems, or as its profiles need them."""

_ANEW: dict[Kind, str] = {
    "run": "begin another with `orchard run CONFIG --out NEW_DIRECTORY`",
    "profile": "measure a config of another name, which has a directory of its own",
}


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """``identity`` is what the results depend on: ``RunConfig.identity``."""

    kind: Kind
    identity: dict[str, Any]


def claim(store: Store, journal: Journal, config: RunConfig, kind: Kind = "run") -> None:
    """Write the config into its directory, or check that the directory is of this run, whose
    config may have been edited there meanwhile.

    Raises ``OtherConfig`` where it holds results that this config would not give, and ``RunError``
    where they are of another kind, or nothing says what they were begun with.
    """
    folder, identity = store.folder, config.identity()
    if store.is_empty and journal.is_empty:
        store.write(VERSIONS, _json(versions()))
    else:
        before = begun(folder)
        if before.kind != kind:
            raise RunError(
                f"{folder} holds a {before.kind}, no {kind}: go on with `{resumes(folder)}`, or "
                f"{_ANEW[kind]}"
            )
        if changed := tuple(_differences(before.identity, identity)):
            raise OtherConfig(
                f"{folder} holds a {kind} of another config: set these keys back, or "
                f"{_ANEW[kind]}:",
                changed,
            )
        for section in ENDPOINTS:  # those of earlier starts have results here too
            identity[section] = before.identity[section] | identity[section]
    store.write(BEGUN, _json(Begun(kind=kind, identity=identity)))
    store.write(CONFIG, yaml.safe_dump(config.dumped(), sort_keys=False).encode())


def begun(folder: Path) -> Begun:
    """What the results of a run directory were begun as. Raises ``RunError``."""
    path = folder / BEGUN
    try:
        return msgspec.json.decode(path.read_bytes(), type=Begun)
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(
            f"{path} cannot be read, which says what the results beside it were begun with: put it "
            f"back, or {_ANEW['run']}"
        ) from error


def resumes(folder: Path) -> str:
    """The command that goes on with a run directory."""
    return shlex.join(["orchard", "resume", str(folder)])


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


def _differences(before: Any, now: Any, place: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        nested = (
            _differences(before.get(key), now.get(key), f"{place}.{key}".lstrip("."))
            for key in keys
            # an endpoint that only one of the two names changes no result they share
            if not (place in ENDPOINTS and (key not in before or key not in now))
        )
        return [line for lines in nested for line in lines]
    return [] if before == now else [f"{place}: {before} → {now}"]
