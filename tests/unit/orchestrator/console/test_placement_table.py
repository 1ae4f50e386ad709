import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.console.placement_table import (
    FREE,
    KV_CACHE,
    OTHERS,
    OVERHEAD,
    WEIGHTS,
    cells,
    placement_table,
)
from orchestrator.console.terminal import Terminal
from servers.fleet.gpus import GIB, parse
from servers.fleet.placement import place
from servers.fleet.spec import FleetSpec, ModelSpec, ServiceSpec, Shape

SHAPE = Shape(layers=80, kv_heads=8, head_dim=128)


@pytest.fixture(autouse=True)
def empty_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))


def service(name: str, role: str, billions: int, replicas: int = 1) -> ServiceSpec:
    model = ModelSpec(
        name=name, source=f"a/{name}", role=role, context=8192,
        parameters=billions * 10**9, shape=SHAPE,
    )  # fmt: skip
    return ServiceSpec(name=name, model=model, replicas=replicas)


def printed(machine: str, *services: ServiceSpec, width: int = 80, used: int = 0) -> list[str]:
    gpus = [replace(gpu, used=used) for gpu in parse(machine)] if machine else []
    console = Terminal(file=io.StringIO(), width=width)
    console.print(placement_table(place(FleetSpec(name="f", services=services), gpus), gpus))
    return console.file.getvalue().splitlines()


POLICY, PRM = service("policy", "policy", 14), service("prm", "prm", 7)
LARGE = service("llama-3.1-405b-instruct", "policy", 405)


def test_a_bar_shows_each_replicas_parts_to_scale_without_colour():
    lines = printed("1xH100", POLICY, PRM)
    assert lines[0] == "GPU 0  H100, 79.1 GiB  policy 0, prm 0"
    bar = lines[1]
    assert len(bar) == 80
    order = "".join(symbol for at, symbol in enumerate(bar) if at == 0 or bar[at - 1] != symbol)
    assert order == (WEIGHTS + KV_CACHE + OVERHEAD) * 2 + FREE
    weights = 21 * 2e9 / parse("H100")[0].memory
    assert bar.count(WEIGHTS) / 80 == pytest.approx(weights, abs=0.02)
    assert "█ weights   ▒ KV cache   ░ activations and runtime   · free" in lines


def test_memory_of_others_is_shown_and_explained_only_where_there_is_some():
    lines = printed("1xH100", POLICY, used=20 * GIB)
    assert lines[1].count(OTHERS) == round(80 * 20 / 79.1)
    assert any("in use by others" in line for line in lines)
    assert not any("in use by others" in line for line in printed("1xH100", POLICY))


def test_a_row_tells_where_a_replica_lies_and_what_it_gets():
    lines = printed("1xH100", POLICY)
    (row,) = [line for line in lines if line.startswith("policy")]
    gpus = parse("H100")
    plan = place(FleetSpec(name="f", services=(POLICY,)), gpus)
    (lies,) = plan.placements
    assert row.split() == [
        "policy", "0", "0", f"{lies.weights / GIB:.1f}", f"{lies.kv_cache / GIB:.1f}",
        f"{plan.tokens(lies):,}", f"{plan.sequences(lies):.1f}",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_or_wrapped_in_80_columns(width):
    lines = printed("8xH200", LARGE, service("qwen2.5-math-prm-7b", "prm", 7), width=width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    assert any(line.startswith("llama-3.1-405b-instruct  ") and " 0–7 " in line for line in lines)


def test_an_idle_gpu_is_shown_as_free():
    lines = printed("2xH100", POLICY)
    at = lines.index("GPU 1  H100, 79.1 GiB  nothing")
    assert lines[at + 1] == FREE * 80


def test_on_a_cpu_there_are_rows_and_no_bars():
    lines = printed("", service("policy", "policy", 1, replicas=2), PRM)
    assert [line.split()[:3] for line in lines[2:]] == [
        ["policy", "0", "CPU"], ["policy", "1", "CPU"], ["prm", "0", "CPU"]
    ]  # fmt: skip
    assert not any(WEIGHTS in line for line in lines)


def test_piped_output_has_no_colours():
    assert "\x1b" not in "".join(printed("1xH100", POLICY))


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=12).filter(any))
def test_cells_fill_the_bar_and_leave_nothing_out(sizes):
    shares = cells(sizes, 80)
    assert sum(shares) == 80
    assert all((share > 0) == (size > 0) for share, size in zip(shares, sizes, strict=True))
    total = sum(sizes)
    for share, size in zip(shares, sizes, strict=True):
        assert abs(share - 80 * size / total) <= len(sizes)
