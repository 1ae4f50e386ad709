"""An interpreter for fleets, in which `-m vllm.entrypoints.openai.api_server` is the embedded
server: the same arguments and API, up in seconds."""

import argparse
import os
import sys


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-m")
    for flag in ("model", "served-model-name", "host", "port"):
        parser.add_argument(f"--{flag}")
    asked, _ = parser.parse_known_args()
    os.environ["ORCHARD_TINY_API_KEY"] = os.environ["VLLM_API_KEY"]
    served = f"{asked.served_model_name}={asked.model}"
    arguments = ["--model", served, "--host", asked.host, "--port", asked.port]
    os.execv(sys.executable, [sys.executable, "-m", "servers.tiny", *arguments])


if __name__ == "__main__":
    main()
