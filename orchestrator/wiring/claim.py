"""Claim a run directory for an experiment."""

from orchestrator.storage.manifest import Kind, Manifest
from orchestrator.storage.run_directory import RunDirectory
from orchestrator.wiring.experiment import Experiment
from orchestrator.wiring.versions import versions


def claim(directory: RunDirectory, experiment: Experiment, kind: Kind = "run") -> None:
    """Record in an open run directory that it belongs to ``experiment``.

    Raises ``OtherConfig`` or ``RunError`` if it belongs to another one.
    """
    directory.claim(
        Manifest(kind=kind, identity=experiment.identity),
        config=experiment.config.dumped(),
        versions=versions,
    )
