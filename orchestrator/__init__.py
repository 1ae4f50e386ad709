"""Orchard grows orchards of LLM search trees over OpenAI-compatible endpoints."""

__version__ = "0.1.0"
