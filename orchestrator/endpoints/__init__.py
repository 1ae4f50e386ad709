"""All HTTP of the orchestrator: policies and PRMs behind OpenAI-compatible servers."""
