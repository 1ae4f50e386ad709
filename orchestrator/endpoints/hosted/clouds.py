"""Which clouds there are, told by their URL."""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

_OWN_TOP_P = (
    "generativelanguage.googleapis.com", "api.perplexity.ai", "api.fireworks.ai",
    "api.together.xyz", "api.together.ai", "api.deepinfra.com",
)  # fmt: skip
"""Clouds that sample with another ``top_p`` than 1 where none is sent, or with the model's own."""

HostedAPI = Literal["openai", "azure"]
"""``azure`` is the classic one of Azure, with deployments in its paths and a version in its query;
its newer one, under /openai/v1, is ``openai``."""

_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_CLOUDS = (
    "api.openai.com", "openrouter.ai", "api.together.xyz", "api.together.ai", "api.deepinfra.com",
    "api.groq.com", "api.fireworks.ai", "api.mistral.ai", "api.deepseek.com", "api.x.ai",
    "api.cerebras.ai", "api.perplexity.ai", "generativelanguage.googleapis.com",
)  # fmt: skip


def hosted_api(url: str) -> HostedAPI | None:
    """The API behind a URL; None where no cloud is known to live there."""
    host = _host(url)
    if host.endswith(_AZURE):
        return "openai" if urlsplit(url).path.startswith("/openai/v1") else "azure"
    return "openai" if host in _CLOUDS or host.endswith(".api.openai.com") else None


def own_defaults(url: str) -> dict[str, float]:
    """Parameters that a cloud need not be sent where they have these values."""
    return {} if _host(url) in _OWN_TOP_P else {"top_p": 1.0}


def usual_key(urls: Sequence[str]) -> str | None:
    """The environment variable that usually holds a cloud's key, where there is such a custom."""
    host = _host(urls[0]) if urls else ""
    if host.endswith(_AZURE):
        return "AZURE_OPENAI_API_KEY"
    if host == "api.openai.com" or host.endswith(".api.openai.com"):
        return "OPENAI_API_KEY"
    return None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # said where it is asked for anything
        return ""
