"""A config for tests, small and valid."""

from typing import Any

from orchestrator.config.run import RunConfig, validate


def values(**changes: Any) -> dict[str, Any]:
    """A small valid config; top-level keys as given."""
    return {
        "task": {"name": "math500"},
        "policies": {"small": {"url": "http://a"}, "large": {"url": "http://b"}},
        "prms": {"prm": {"url": "http://c", "family": "qwen_math"}},
        "cells": [
            {"policy": "small", "strategy": "cot"},
            {"policy": "small", "prm": "prm", "strategy": ["beam_search", "dvts"], "n": [4, 16]},
        ],
    } | changes


def valid(**changes: Any) -> RunConfig:
    return validate(values(**changes), "run.yaml")
