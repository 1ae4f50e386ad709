"""Fleets of vLLM servers: planned onto GPUs, started, watched and ended together."""
