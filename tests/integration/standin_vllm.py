"""A server that takes vLLM's arguments and answers /health and /v1/models: no model, up at once.

What it does is decided by files in its model's folder: ``refuse`` (it says what the file holds and
exits), ``hang`` (it accepts requests and answers none), ``stubborn`` (it ignores SIGTERM). Like
vLLM it has children, one of which here has left its session.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CHILD = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


class Handler(BaseHTTPRequestHandler):
    folder: Path
    name: str

    def do_GET(self) -> None:
        while (self.folder / "hang").exists():
            time.sleep(0.05)
        if self.path.startswith("/v1"):
            if self.headers.get("Authorization") != f"Bearer {os.environ['VLLM_API_KEY']}":
                self._answer(401, {"error": "Unauthorized"})
            else:
                self._answer(200, {"data": [{"id": self.name}]})
        else:
            self._answer(200, {})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-m")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--served-model-name")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    arguments, _ = parser.parse_known_args()
    folder = arguments.model
    if (folder / "refuse").exists():
        sys.exit((folder / "refuse").read_text())
    if (folder / "stubborn").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    subprocess.Popen(_CHILD)
    subprocess.Popen(_CHILD, start_new_session=True)
    Handler.folder, Handler.name = folder, arguments.served_model_name
    print("ready", flush=True)
    ThreadingHTTPServer((arguments.host, arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
