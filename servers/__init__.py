"""Servers that stand models up behind OpenAI-compatible APIs."""
