from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.prices import Prices, read_prices
from orchestrator.config.reading import shipped_config
from orchestrator.config.run import RunConfig, validate
from orchestrator.core.budget import Price
from orchestrator.errors import ConfigError
from orchestrator.wiring.prices import prices, unpriced

GPT_4O = Price(input=2.5, cached_input=1.25, output=10.0)


def config(policy: Mapping[str, Any], **more: Any) -> RunConfig:
    cells = [{"policy": "p", "strategy": "cot"}]
    values = {"task": {"name": "chains"}, "policies": {"p": dict(policy)}, "cells": cells}
    return validate(values | more, "test.yaml")


@pytest.fixture
def table() -> Prices:
    return read_prices(shipped_config("prices.yaml"))


@pytest.mark.parametrize(
    "name", ["gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o", "openai/gpt-4o-2024-11-20"]
)
def test_a_name_stands_for_its_dated_versions_and_under_any_prefix(
    table: Prices, name: str
) -> None:
    assert table.of(name) == GPT_4O


def test_a_version_with_a_price_of_its_own_has_that_one(table: Prices) -> None:
    assert table.of("gpt-4o-2024-05-13") == Price(input=5.0, output=15.0)


@pytest.mark.parametrize("name", ["gpt-4o-realtime", "gpt-4", "qwen2.5-1.5b", "gpt-4o-2024"])
def test_a_name_that_only_begins_alike_has_no_price(table: Prices, name: str) -> None:
    assert table.of(name) is None


def test_a_pattern_stands_for_what_it_fits(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("as_of: 2026-01-01\nmodels: {'my-*': {input: 1, output: 2}}\n")
    assert read_prices(path).of("my-model") == Price(input=1, output=2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("as_of: 2026-01-01\nmodels: {m: {input: -1, output: 2}}", "models.m.input"),
        ("as_of: 2026-01-01\nmodels: {m: {input: 1}}", "models.m.output: it is required"),
        ("models: {}", "as_of: it is required"),
        ("as_of: 2026-01-01\nmodels: {m: {inptu: 1, output: 2}}", 'did you mean "input"'),
    ],
)
def test_a_table_that_cannot_be_read_says_where(tmp_path: Path, text: str, says: str) -> None:
    (path := tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_prices(path)
    assert str(path) in str(caught.value)


def test_a_price_is_found_by_the_model_or_named_or_written_beside_it() -> None:
    assert prices(config({"url": "https://api.openai.com/v1", "model": "gpt-4o"})) == {"p": GPT_4O}
    azure = {"url": "https://x.openai.azure.com", "model": "my-deployment", "price": "gpt-4o"}
    assert prices(config(azure)) == {"p": GPT_4O}
    own = {"url": "http://localhost", "price": {"input": 0.1, "output": 0.2}}
    assert prices(config(own)) == {"p": Price(input=0.1, output=0.2)}
    assert prices(config({"url": "http://localhost"})) == {}


def test_a_price_named_wrongly_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'p: no price is named.*did you mean "gpt-4o"'):
        prices(config({"url": "http://x", "price": "gpt4o"}))


def test_only_hosted_models_are_missed_in_the_table() -> None:
    hosted = config({"url": "https://openrouter.ai/api/v1", "model": "some/model"})
    assert unpriced(hosted, prices(hosted)) == ["p"]
    own = config({"url": "http://localhost:8000"})
    assert unpriced(own, prices(own)) == []


@pytest.mark.parametrize("url", ["https://openrouter.ai/api/v1", "http://localhost:8000"])
def test_a_limit_of_the_cost_that_cannot_be_kept_is_refused(url: str) -> None:
    limited = config({"url": url, "model": "some/model"}, budget={"cost": 5})
    with pytest.raises(ConfigError, match=r"cannot be kept: .*has (no|a) price"):
        prices(limited)


def test_prices_and_what_may_be_paid_change_no_result() -> None:
    plain = config({"url": "https://api.openai.com/v1", "model": "gpt-4o"})
    priced = config(
        {"url": "https://x.openai.azure.com", "model": "gpt-4o", "api_version": "2024-10-21",
         "price": "gpt-4o", "api": "azure"},
        budget={"cost": 5}, prices="mine.yaml",
    )  # fmt: skip
    assert plain.identity() == priced.identity()


def test_a_continuation_that_is_emulated_does() -> None:
    url = {"url": "https://api.openai.com/v1", "model": "gpt-4o"}
    emulated = config(url | {"continuation": "instructed"})
    assert emulated.identity() != config(url).identity()
    assert config(url | {"continuation": "chat"}).identity() == config(url).identity()
