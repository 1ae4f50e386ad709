from types import SimpleNamespace

import pytest

from servers.fleet.gpus import CARDS, GIB, detect, parse, visible
from servers.fleet.spec import FleetError

MIB = 2**20


class FakeDriver:
    """``pynvml`` on a machine with two H100s; ``reserved`` None is a driver too old to tell."""

    nvmlMemory_v2 = 2

    class NVMLError(Exception):
        pass

    def __init__(self, *, present=True, reserved=550 * MIB):
        self.present, self.reserved, self.ended = present, reserved, False

    def nvmlInit(self):
        if not self.present:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlShutdown(self):
        self.ended = True

    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUUID(self, index):
        return f"GPU-{index}a2b"

    def nvmlDeviceGetName(self, index):
        return "NVIDIA H100 80GB HBM3"

    def nvmlDeviceGetMemoryInfo(self, index, version=None):
        if version == self.nvmlMemory_v2 and self.reserved is None:
            raise self.NVMLError("Function Not Found")
        return SimpleNamespace(total=81559 * MIB, reserved=self.reserved, used=index * 1000 * MIB)


@pytest.fixture
def driver(monkeypatch):
    def install(**settings):
        fake = FakeDriver(**settings)
        monkeypatch.setitem(__import__("sys").modules, "pynvml", fake)
        return fake

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return install


def test_a_gpus_memory_is_what_the_driver_leaves_of_it(driver):
    fake = driver()
    first, second = detect()
    assert (first.index, first.name) == (0, "H100 80GB HBM3")
    assert first.memory == (81559 - 550) * MIB
    assert (first.used, second.used) == (0, 1000 * MIB)
    assert fake.ended


def test_an_old_driver_tells_the_whole_memory(driver):
    driver(reserved=None)
    assert detect()[0].memory == 81559 * MIB


def test_without_a_driver_there_are_no_gpus(driver):
    driver(present=False)
    assert detect() == []


def test_hidden_gpus_are_not_detected_and_the_others_keep_their_number(driver, monkeypatch):
    driver()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [gpu.index for gpu in detect()] == [1]


@pytest.mark.parametrize(
    ("variable", "indices"),
    [
        (None, [0, 1, 2]), ("", []), ("2,0", [2, 0]), ("-1", []), ("1,7,0", [1]), ("0,0", [0]),
        ("GPU-b", [1]), ("GPU-c, GPU-a", [2, 0]), ("GPU-", []), ("nonsense", []),
    ],
)  # fmt: skip
def test_cuda_visible_devices_is_read_as_cuda_reads_it(variable, indices):
    assert visible(["GPU-a1", "GPU-b1", "GPU-c1"], variable) == indices


def test_partitions_of_a_gpu_are_refused():
    with pytest.raises(FleetError, match="MIG"):
        visible(["GPU-a1"], "MIG-0f")


@pytest.mark.parametrize(
    ("text", "count", "card"),
    [
        ("8xH200", 8, "H200"), ("H100", 1, "H100"), ("2 x NVIDIA A100 80GB", 2, "A100-80"),
        ("2×a100-40", 2, "A100-40"), ("NVIDIA H100 80GB HBM3", 1, "H100"), ("4*L40S", 4, "L40S"),
        ("GeForce RTX 4090", 1, "RTX4090"), ("2x3090", 2, "RTX3090"),
        ("V100-SXM2-32GB", 1, "V100-32"), ("h100 nvl", 1, "H100-NVL"),
    ],
)  # fmt: skip
def test_cards_are_known_by_the_names_people_give_them(text, count, card):
    gpus = parse(text)
    assert [gpu.index for gpu in gpus] == list(range(count))
    assert {(gpu.name, gpu.memory) for gpu in gpus} == {(card, int(CARDS[card] * GIB))}


def test_a_size_stands_for_a_card_with_a_little_less():
    (gpu, _) = parse("2x80GB")
    assert gpu.name == "80GB"
    assert 78 * GIB < gpu.memory < 80 * GIB


@pytest.mark.parametrize(
    ("text", "named"),
    [("8xH300", "H100"), ("A100", "A100-40, A100-80"), ("4090 Ti", "RTX4090"), ("TPUv5", "A100")],
)
def test_an_unknown_card_is_an_error_with_near_names(text, named):
    with pytest.raises(FleetError, match=f"unknown card.*{named}"):
        parse(text)


@pytest.mark.parametrize("text", ["", "0xH100", " "])
def test_a_description_without_gpus_is_an_error_with_an_example(text):
    with pytest.raises(FleetError, match="8xH200"):
        parse(text)
