"""The versions of the software that a run uses."""

import importlib.metadata
import os
import platform
import sys
from datetime import UTC, datetime

from orchestrator import __version__

_PACKAGES = ("aiohttp", "openai", "msgspec", "sympy", "torch", "transformers", "numpy")


def versions() -> dict[str, object]:
    """Orchard, Python, the machine, and the packages that can affect results."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "orchard": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "packages": found,
    }
