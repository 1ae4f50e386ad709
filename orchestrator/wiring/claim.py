"""Which experiment a run directory belongs to."""

from orchestrator.storage.manifest import Kind, Manifest
from orchestrator.storage.run_directory import RunDirectory
from orchestrator.wiring.experiment import Experiment
from orchestrator.wiring.versions import versions


def claim(directory: RunDirectory, experiment: Experiment, kind: Kind = "run") -> None:
    """Make an open run directory this experiment's. Raises ``OtherConfig`` or ``RunError`` where it
    holds the results of another."""
    directory.claim(
        Manifest(kind=kind, identity=experiment.identity),
        config=experiment.config.dumped(),
        versions=versions,
    )
