"""For tests of what you build on Orchard: models without a server, and time that jumps.

- ``FakePolicy`` and ``FakePRM`` are ordinary ports that say what a script says.
- ``VirtualLoop`` and ``run_in_virtual_time`` let hours of waiting pass in milliseconds.
- ``tiny_server`` serves the embedded models over real HTTP.
"""

from orchestrator.testing.clock import VirtualLoop, run_in_virtual_time
from orchestrator.testing.fakes import SEPARATOR, FakePolicy, FakePRM, by_text, chains
from orchestrator.testing.tiny_server import tiny_server

__all__ = [
    "SEPARATOR",
    "FakePRM",
    "FakePolicy",
    "VirtualLoop",
    "by_text",
    "chains",
    "run_in_virtual_time",
    "tiny_server",
]
