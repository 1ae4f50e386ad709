"""A fleet that isn't there: a model of GPUs behind vLLM's API, for load, faults and planning."""
