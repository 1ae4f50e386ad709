"""Hosted APIs: models that a cloud serves, reached through the openai SDK and paid by the token."""
