"""Virtual time for tests: an hour of timeouts, retries and rate limits passes in milliseconds.

``run_in_virtual_time(main())`` is ``asyncio.run`` on a loop whose clock jumps to the next timer as
soon as nothing else is left to do, so a test asserts exact instants. The simulated fleets run on
the same clock; ``servers.simulated.clock`` says what it supports.
"""

from servers.simulated.clock import VirtualLoop
from servers.simulated.clock import run as run_in_virtual_time

__all__ = ["VirtualLoop", "run_in_virtual_time"]
