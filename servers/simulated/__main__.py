"""``python -m servers.simulated``: a fleet that isn't there, over HTTP and in real time."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from servers.simulated.fleet import Fleet
from servers.simulated.fleet_file import FleetFileError, load
from servers.simulated.front import HttpFront


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m servers.simulated", description="A fleet that isn't there, over HTTP."
    )
    parser.add_argument(
        "--config", type=Path, required=True,
        help="a YAML file of services and faults; servers/simulated/fleet_file.py shows one",
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port", type=int, default=0, help="of the first replica, counting on; 0 takes free ones"
    )
    arguments = parser.parse_args()
    try:
        fleet = load(arguments.config)
        if not 0 <= arguments.port <= 65536 - len(fleet.replicas):
            parser.error(f"--port {arguments.port}: ports are 0 to 65535, one for each replica")
        asyncio.run(_serve(fleet, arguments))
    except FleetFileError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: cannot serve at {arguments.host}: {error.strerror}")


async def _serve(fleet: Fleet, arguments: argparse.Namespace) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with HttpFront(fleet, host=arguments.host, port=arguments.port) as front:
        urls = {
            service.model: [front.urls[name] for name in fleet.names(service.model)]
            for service in fleet.services
        }
        print(json.dumps({"urls": urls}), flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()
