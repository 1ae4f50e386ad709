"""What chat APIs take."""

Messages = list[dict[str, str]]
"""A conversation: ``[{"role": …, "content": …}, …]``."""
