"""Which Python runs vLLM: it may need an environment of its own."""

import importlib.util
import sys
from pathlib import Path

from servers.fleet.spec import FleetError

_OWN_ENVIRONMENT = Path(".venv-vllm", "bin", "python")


def find_python(given: Path | None) -> Path:
    """The interpreter to start vLLM with: the one given, else this one, else ``.venv-vllm``'s.

    Raises ``FleetError`` where there is none.
    """
    if given is not None:
        path = given.expanduser().absolute()
        if not path.is_file():
            raise FleetError(f"the fleet's python {given} does not exist")
        return path
    if importlib.util.find_spec("vllm") is not None:
        return Path(sys.executable)
    if _OWN_ENVIRONMENT.is_file():
        return _OWN_ENVIRONMENT.absolute()  # resolved, it would be the base environment's
    raise FleetError(
        "vLLM is not installed: pip install 'orchard-tts[vllm]' on a GPU machine; for the CPU, "
        "make vllm in Orchard's checkout; or set the fleet's python to one that has it"
    )
