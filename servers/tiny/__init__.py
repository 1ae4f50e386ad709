"""The embedded default: small policies and PRMs, trained by this repository and served on CPU."""
