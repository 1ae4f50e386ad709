"""How long `import orchestrator` takes, and naming every part of the library after it.

    python tests/benchmarks/import_time.py

Each in a fresh interpreter, less what the interpreter itself takes; the fastest of several counts.
Prints one JSON line.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPORT = "import orchestrator"
EVERY_NAME = f"{IMPORT} as o; [getattr(o, name) for name in dir(o)]"


def seconds(code: str, rounds: int) -> float:
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        found.append(time.perf_counter() - began)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    bare = seconds("pass", rounds)
    took = {
        "import_s": round(seconds(IMPORT, rounds) - bare, 3),
        "every_name_s": round(seconds(EVERY_NAME, rounds) - bare, 3),
    }
    print(json.dumps({"benchmark": "import_time", **took}))


if __name__ == "__main__":
    main()
