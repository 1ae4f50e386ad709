from pathlib import Path

import pytest
import torch

from servers.tiny.random_weights import write_random_model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """As the server computes; more threads only wait for each other on models this small."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder of random weights for each kind of model."""
    root = tmp_path_factory.mktemp("models")
    return {
        "policy": write_random_model(root / "policy", "policy"),
        "qwen-prm": write_random_model(root / "qwen", "qwen-prm", hidden=96),
        "shepherd-prm": write_random_model(root / "shepherd", "shepherd-prm"),
    }
