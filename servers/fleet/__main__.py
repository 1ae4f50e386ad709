"""``python -m servers.fleet FOLDER``: supervise the fleet that a folder describes."""

import argparse
import asyncio
import sys
from pathlib import Path

from servers.fleet.state import Folder
from servers.fleet.supervisor import supervise


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m servers.fleet", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--exit-with-stdin", action="store_true", help="end when standard input ends"
    )
    arguments = parser.parse_args()
    problem = asyncio.run(supervise(Folder(arguments.folder), attached=arguments.exit_with_stdin))
    if problem is not None:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()
