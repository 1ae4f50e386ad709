"""The one thread that computes, for all models in turn."""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

import torch

from servers.tiny.ticket import EngineDead

_log = logging.getLogger(__name__)


class Lane(Protocol):
    """Work of one kind for one model."""

    def step(self) -> bool:
        """Do a small piece of what waits; False where nothing did."""
        ...

    def fail(self, error: Exception) -> None:
        """Answer everything waiting with an error."""
        ...


class Worker:
    """Runs the lanes round-robin in a thread of its own, until stopped or failed."""

    def __init__(self, lanes: Sequence[Lane], *, threads: int) -> None:
        self._lanes = lanes
        self._threads = threads
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="compute", daemon=True)
        self.failure: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Say that work has been submitted. Raises ``EngineDead`` where nobody will do it."""
        if self.failure is not None:
            self._fail_all(self.failure)
            raise EngineDead(str(self.failure))
        self._wake.set()

    def stop(self, timeout: float) -> None:
        """End the thread after its current step; what still waits is not answered."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                while not self._stopping:
                    self._wake.wait()
                    self._wake.clear()
                    while not self._stopping and self._round():
                        pass
        except Exception as error:
            self.failure = error
            _log.exception("the compute thread failed: nothing more will be answered")
            self._fail_all(error)

    def _round(self) -> bool:
        """One step of every lane; False where none had work."""
        worked = False
        for lane in self._lanes:
            worked |= lane.step()
        return worked

    def _fail_all(self, error: Exception) -> None:
        dead = EngineDead(f"the compute thread failed: {error!r}")
        for lane in self._lanes:
            lane.fail(dead)
