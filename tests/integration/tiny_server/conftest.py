"""One tiny server of random models for all that is tested over real HTTP, and its clients."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from servers.tiny.launch import Spec, serve
from servers.tiny.random_weights import write_random_model
from tests.integration.tiny_server.asking import KEY


@pytest.fixture(scope="package")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "policy": write_random_model(root / "policy", "policy"),
        "large": write_random_model(root / "large", "policy", seed=1, hidden=128, layers=3),
        "qwen": write_random_model(root / "qwen", "qwen-prm"),
        "shepherd": write_random_model(root / "shepherd", "shepherd-prm"),
    }


@pytest.fixture(scope="package")
def url(folders: dict[str, Path]) -> Iterator[str]:
    with serve(Spec(models=folders, api_key=KEY)) as (server,):
        yield server.url


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def sdk(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
