"""How the tiny models are made: ``python -m servers.tiny.train`` rebuilds them all from nothing."""
