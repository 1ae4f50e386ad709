"""The tiny server as a process: its load, its start and its end."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import pytest

from servers.tiny.launch import Spec, TinyServerError, serve
from tests.integration.tiny_server.asking import KEY, PROMPT, wait_until


def test_models_are_listed_with_their_context(sdk: openai.OpenAI, http: httpx.Client) -> None:
    names = [model.id for model in sdk.models.list()]
    assert names == ["policy", "large", "qwen", "shepherd"]
    assert http.get("/v1/models").json()["data"][0]["max_model_len"] == 512


def test_health_and_metrics_answer_without_a_key(url: str) -> None:
    assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    for name in (
        "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc",
        "prefix_cache_queries_total", "prefix_cache_hits_total", "prompt_tokens_total",
        "generation_tokens_total", "num_preemptions_total", "e2e_request_latency_seconds_count",
    ):  # fmt: skip
        assert re.search(rf'^vllm:{name}{{.*model_name="policy".*}} \d', text, re.MULTILINE), name


def running(url: str) -> int:
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    return sum(int(n) for n in re.findall(r"vllm:num_requests_running{.*} (\d+)", text))


@pytest.mark.parametrize("stream", [False, True])
async def test_closing_the_connection_frees_the_place(url: str, stream: bool) -> None:
    body = {"model": "policy", "prompt": PROMPT, "n": 200, "max_tokens": 450, "ignore_eos": True}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        request = client.post(
            f"{url}/v1/completions", json={**body, "stream": stream}, headers=headers
        )
        task = asyncio.create_task(request)
        await asyncio.to_thread(wait_until, lambda: running(url) == 200, 5.0)
        task.cancel()
        await asyncio.to_thread(wait_until, lambda: running(url) == 0, 1.0)


def test_a_failing_start_shows_the_log(tmp_path: Path) -> None:
    with (
        pytest.raises(TinyServerError, match=r"(?s)ended with code 1.*not a model folder"),
        serve(Spec(models={"x": tmp_path})),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_within_seconds(
    folders: dict[str, Path], number: signal.Signals
) -> None:
    with serve(Spec(models={"policy": folders["policy"]})) as (server,):
        server.process.send_signal(number)
        assert server.process.wait(timeout=20) == 0


def test_servers_end_with_a_parent_that_is_killed(folders: dict[str, Path]) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from servers.tiny.launch import Spec, serve\n"
        "spec = Spec(models={'policy': Path(sys.argv[1])})\n"
        "with serve(spec, spec) as servers:\n"
        "    print(*(s.process.pid for s in servers), flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folders["policy"])],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root},
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    wait_until(lambda: not any(map(is_alive, pids)), 5)


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
