"""``python -m servers.tiny``: serve tiny models on the CPU behind an OpenAI-compatible API."""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path

from aiohttp import web

from servers.tiny.api import Api
from servers.tiny.launch import API_KEY_VARIABLE
from servers.tiny.served import CACHE_BYTES, Served
from servers.tiny.worker import Worker

# The two threads share Python's lock: the compute thread gives it up at every operation and waits
# up to this long for it. The default of 5 ms would cost it more than computing does.
_SWITCH_INTERVAL_S = 0.0002
_SHUTDOWN_S = 0.5


def main() -> None:
    arguments = _parser().parse_args()
    models = []
    try:
        for name, folder in arguments.model:
            models.append(
                Served.load(
                    name,
                    folder,
                    max_num_seqs=arguments.max_num_seqs,
                    cache_bytes=arguments.prefix_cache_mb * 2**20,
                )
            )
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: --model {name}={folder}: {error}")
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    worker = Worker([lane for m in models for lane in m.lanes], threads=arguments.threads)
    worker.start()
    key = arguments.api_key or os.environ.get(API_KEY_VARIABLE) or None
    try:
        asyncio.run(_serve(Api(models, worker, api_key=key), arguments))
    finally:
        worker.stop(_SHUTDOWN_S)


async def _serve(api: Api, arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM, SIGINT or, if asked for, the end of standard input."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.exit_with_stdin:
        watcher = threading.Thread(target=_await_end_of_stdin, args=(loop, stop), daemon=True)
        watcher.start()
    runner = web.AppRunner(
        api.application(),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, arguments.host, arguments.port, backlog=4096)
        await site.start()
        host, port = runner.addresses[0][:2]
        host = f"[{host}]" if ":" in host else host
        print(json.dumps({"url": f"http://{host}:{port}"}), flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def _await_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    loop.call_soon_threadsafe(stop.set)


def _model(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER")
    return name, Path(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m servers.tiny", description=__doc__)
    parser.add_argument(
        "--model", type=_model, action="append", required=True, metavar="NAME=FOLDER",
        help="a Hugging Face folder to serve under a name; may be given several times",
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--api-key", help=f"guards /v1; also read from {API_KEY_VARIABLE}")
    parser.add_argument("--threads", type=int, default=1, help="of the one compute thread")
    parser.add_argument(
        "--max-num-seqs", type=int, default=256, help="sequences generated at once, per model"
    )
    parser.add_argument(
        "--prefix-cache-mb", type=int, default=CACHE_BYTES // 2**20, help="per model; 0: none"
    )
    parser.add_argument(
        "--exit-with-stdin", action="store_true", help="end when standard input ends"
    )
    return parser


if __name__ == "__main__":
    main()
