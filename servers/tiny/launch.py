"""Start tiny servers as processes of their own, and end them whatever becomes of this one.

A server's standard input is a pipe that nobody writes to: when this process ends, in whatever way,
the pipe closes and the server stops. Its own session keeps Ctrl-C in the terminal from reaching it
before its parent has dealt with it.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

API_KEY_VARIABLE = "ORCHARD_TINY_API_KEY"
_ROOT = Path(__file__).resolve().parents[2]  # where the package `servers` is found
# Has torch put large tensors, the KV stores above all, into huge pages: generation takes 5 to 20 %
# less time. Must be set before torch allocates anything.
_HUGE_PAGES = ("THP_MEM_ALLOC_ENABLE", "1")
_TAIL_LINES = 20
_STOP_S = 3.0


class TinyServerError(RuntimeError):
    """A server did not come up. ``log`` is the file with all it said."""

    def __init__(self, reason: str, log: Path) -> None:
        tail = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:] if log.exists() else []
        said = "\n".join(f"    {line}" for line in tail) or "    (nothing)"
        super().__init__(f"{reason}; its log {log} ends with:\n{said}")
        self.reason = reason
        self.log = log


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One server process: models by name, each a Hugging Face folder."""

    models: Mapping[str, Path]
    api_key: str | None = None
    port: int = 0
    threads: int = 1
    max_num_seqs: int = 256
    prefix_cache_mb: int | None = None

    @property
    def command(self) -> list[str]:
        """The arguments; the key travels in the environment, where process lists don't show it."""
        numbers = {
            "--port": self.port,
            "--threads": self.threads,
            "--max-num-seqs": self.max_num_seqs,
            "--prefix-cache-mb": self.prefix_cache_mb,
        }
        command = [sys.executable, "-m", "servers.tiny", "--exit-with-stdin"]
        for name, folder in self.models.items():
            command += ["--model", f"{name}={folder}"]
        for flag, number in numbers.items():
            command += [flag, str(number)] if number is not None else []
        return command


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyServer:
    """A server that runs and has answered. ``url`` has no path; add /v1 for an OpenAI client."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    def stop(self) -> None:
        """End the process; it is gone when this returns."""
        _stop(self.process)


@contextmanager
def serve(
    *specs: Spec, logs: Path | None = None, timeout: float = 120.0
) -> Iterator[list[TinyServer]]:
    """Run one server for each spec, all starting at once, for as long as the block lasts.

    Each writes its log into the folder ``logs``, or a temporary one. Raises ``TinyServerError``
    where a server ends or has not answered within ``timeout`` seconds.
    """
    with ExitStack() as stack:
        if logs is None:
            logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tiny-server-")))
        logs.mkdir(parents=True, exist_ok=True)
        started = []
        for number, spec in enumerate(specs):
            log = logs / f"tiny-{number}.log"
            process = _start(spec, log)
            stack.callback(_stop, process)
            started.append((process, log))
        yield [_wait(process, log, timeout) for process, log in started]


def _start(spec: Spec, log: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop(API_KEY_VARIABLE, None)
    environment.setdefault(*_HUGE_PAGES)
    if spec.api_key is not None:
        environment[API_KEY_VARIABLE] = spec.api_key
    with log.open("w") as errors:
        return subprocess.Popen(
            spec.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            text=True,
            start_new_session=True,
        )


def _wait(process: subprocess.Popen[str], log: Path, timeout: float) -> TinyServer:
    """Read the line a server prints when it listens, and ask it for its health once."""
    assert process.stdout is not None, "started with a pipe"
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        process.kill()

    timer = threading.Timer(timeout, expire)
    timer.daemon = True
    try:
        timer.start()
        line = process.stdout.readline()
    finally:
        timer.cancel()
    if expired.is_set():
        raise TinyServerError(f"the tiny server did not start within {timeout:g} s", log)
    if not line:
        raise TinyServerError(f"the tiny server ended with code {process.wait()}", log)
    url = str(json.loads(line)["url"])
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except OSError as error:
        raise TinyServerError(f"the tiny server at {url} does not answer ({error})", log) from error
    finally:
        connection.close()
    if status != 200:
        raise TinyServerError(f"the tiny server at {url} is not healthy (HTTP {status})", log)
    return TinyServer(url=url, process=process, log=log)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
