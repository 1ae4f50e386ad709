"""Do the unit tests notice? Change one token of the source (a comparison turned, an operator
swapped, a constant moved by one, a boolean flipped), run the unit tests that reach it, repeat.

A seed draws its sample by the text of each change, so an edit elsewhere leaves it as it is. A
mutant lives in memory only, in a fork of a process that has the libraries loaded. (mutmut draws no
samples, and cosmic-ray starts an interpreter and all tests for each.) harmless.txt lists changes
that nobody could notice, with the reason. Exits 1 if less than 85 % of the others are caught.
"""

import argparse
import gc
import hashlib
import os
import re
import resource
import sys
import tempfile
from collections import Counter
from importlib import import_module
from pathlib import Path

import coverage
import pytest
from changes import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "strategies", "runs", "storage", "endpoints")
SECONDS = 12.0  # of tests for a mutant, the nearest and fastest first
LIBRARIES = ("aiohttp", "anyio", "httpx", "hypothesis", "msgspec", "numpy", "openai", "pydantic")
OPTIONS = ["-x", "-vv", "--durations=0", "-p", "no:cacheprovider", "--timeout=60"]


def name_of(test: str) -> str:
    """A test function, whatever its parameters: recording each of these would take minutes."""
    return test.partition("[")[0]


class Chosen:
    """The plugin that runs ``tests`` only, in their order, or all, of which it notes the lines."""

    def __init__(self, tests: list[str], recorder: coverage.Coverage | None = None) -> None:
        self._order, self._recorder = {test: i for i, test in enumerate(tests)}, recorder
        self._now = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._order:
            items[:] = [each for each in items if name_of(each.nodeid) in self._order]
            items.sort(key=lambda each: self._order[name_of(each.nodeid)])

    def pytest_sessionstart(self) -> None:
        if self._recorder is not None:
            self._recorder.start()

    def pytest_sessionfinish(self) -> None:
        if self._recorder is not None:
            self._recorder.stop()
            self._recorder.save()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self._recorder is not None and self._now != name_of(item.nodeid):
            self._now = name_of(item.nodeid)
            self._recorder.switch_context(self._now)


def run(paths: list[str], plugin: Chosen, mutant: Mutant | None = None) -> tuple[int, str]:
    """The exit status and the output of these tests in a fork, with the mutant in place."""
    with tempfile.TemporaryFile() as output:
        if not (child := os.fork()):
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # loops that collect
            if mutant is not None:
                mutant.put_in_place(ROOT)
            code = pytest.main([*OPTIONS, f"--rootdir={ROOT}", *paths], plugins=[plugin])
            sys.stdout.flush()
            os._exit(code)
        status = os.waitpid(child, 0)[1]
        output.seek(0)
        return status, output.read().decode(errors="replace")


class Tests:
    """Which tests reach which line, and how long each takes, by one run of all."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = [str(ROOT / "orchestrator")]
            recorder = coverage.Coverage(f"{folder}/lines", source=source, config_file=False)
            paths = [str(ROOT / "tests/unit/orchestrator" / room) for room in ROOMS]
            status, output = run(paths, Chosen([], recorder))
            if status:
                sys.exit(f"the tests fail without any mutant:\n{output[-3000:]}")
            data = coverage.CoverageData(f"{folder}/lines")
            data.read()
            self._reached = {path: data.contexts_by_lineno(path) for path in data.measured_files()}
        self._seconds = Counter[str]()
        for seconds, test in re.findall(r"^([\d.]+)s call +(.+?)\s*$", output, re.M):
            self._seconds[name_of(test)] += float(seconds)  # type: ignore[assignment]

    def reaching(self, mutant: Mutant) -> list[str]:
        """Those that run its lines; those of its module where these run at import alone."""
        reached = self._reached.get(str(ROOT / mutant.path), {})
        found = {test for line in mutant.lines for test in reached.get(line, []) if test}
        found = found or {test for tests in reached.values() for test in tests if test}
        folder, stem = Path(mutant.path).parent, Path(mutant.path).stem
        near, seconds, total = f"unit/{folder}/", self._seconds, 0.0
        order = sorted(found, key=lambda test: (near not in test, stem not in test, seconds[test]))
        return [test for test in order if (total := total + seconds[test]) < SECONDS]

    def notice(self, mutant: Mutant) -> str | None:
        """The first test that fails, None where all pass; those of the nearest file run first."""
        tests = self.reaching(mutant)
        file = tests[0].partition("::")[0] if tests else ""
        for is_near in (True, False):
            some = [test for test in tests if test.startswith(file) is is_near]
            files = sorted({str(ROOT / test.partition("::")[0]) for test in some})
            status, output = run(files, Chosen(some), mutant) if some else (0, "")
            if status:
                failed = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.M)
                return failed[1] if failed else f"exit status {status}"
        return None


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="orchestrator/", help="how their paths begin")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    for name in LIBRARIES:
        import_module(name)

    paths = [path for room in ROOMS for path in (ROOT / "orchestrator" / room).rglob("*.py")]
    found = [each for path in paths for each in mutants(ROOT, str(path.relative_to(ROOT)))]
    found = [each for each in found if each.path.startswith(options.only)]
    found.sort(key=lambda each: hashlib.sha256(f"{options.seed} {each.change}".encode()).digest())
    sample = found[: options.sample]
    known = Path(__file__).with_name("harmless.txt").read_text().splitlines()
    harmless = {line.partition("  # ")[0] for line in known}
    print(f"{len(sample)} of {len(found)} changes", flush=True)
    tests, caught = Tests(), []
    gc.freeze()  # what is here stays: no fork looks through it
    for mutant in sample:
        if mutant.change not in harmless:
            caught.append(by := tests.notice(mutant))
            said = f"{'caught' if by else 'PASSED'}  {mutant.change}  # line {mutant.lines.start}"
            print(f"{said}, {by}" if by else said, flush=True)
    count, share = len(caught), sum(map(bool, caught)) / max(1, len(caught))
    print(f"{share:.0%} of {count} changes caught, {len(sample) - count} harmless ones left out")
    return int(share < 0.85)


if __name__ == "__main__":
    sys.exit(main())
