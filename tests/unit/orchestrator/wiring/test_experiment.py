from typing import Any
from unittest import mock

from orchestrator.config import run
from orchestrator.config.run import RunConfig, validate
from orchestrator.core.budget import Price
from orchestrator.wiring import prices
from orchestrator.wiring.experiment import Experiment


def config(**changes: Any) -> RunConfig:
    url = {"url": "http://localhost:8000"}
    values = {
        "task": {"name": "sums", "problems": 3},
        "policies": {"policy": {**url, "price": {"input": 1, "output": 2}}},
        "prms": {"prm": {**url, "family": "qwen_math"}},
        "cells": [
            {"policy": "policy", "strategy": "cot"},
            {"policy": "policy", "prm": "prm", "strategy": ["best_of_n", "dvts"], "n": 4},
        ],
    }
    return validate(values | changes, "run.yaml")


def test_cells_are_built_once_and_prices_are_read_once_from_config_to_experiment() -> None:
    with (
        mock.patch.object(run, "all_cells", wraps=run.all_cells) as built,
        mock.patch.object(prices, "read_prices", wraps=prices.read_prices) as read,
    ):
        experiment = Experiment.of(config())
        assert len(experiment.cells) == 3
        assert experiment.headline is None
    assert (built.call_count, read.call_count) == (1, 1)


def test_the_cells_of_an_experiment_know_what_their_models_charge() -> None:
    experiment = Experiment.of(config())
    assert experiment.prices == {"policy": Price(input=1.0, output=2.0)}
    assert {cell.policy.price for cell in experiment.cells} == {experiment.prices["policy"]}
    assert [cell.id for cell in experiment.cells] == [c.id for c in experiment.config.all_cells]


def test_a_hosted_model_without_a_price_is_named() -> None:
    hosted = {"url": "https://openrouter.ai/api/v1", "model": "some/model"}
    assert Experiment.of(config(policies={"policy": hosted})).unpriced == ["policy"]
    assert Experiment.of(config()).unpriced == []


def test_the_headline_is_the_one_that_the_config_names() -> None:
    line = {"small": "policy", "prm": "prm", "strategy": "dvts", "n": 4, "vote": "max_last"}
    headline = Experiment.of(config(headline={**line, "large": "policy"})).headline
    assert headline is not None and (headline.strategy, headline.large) == ("dvts", "policy")
