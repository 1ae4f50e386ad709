"""File formats and spellings that every room reads and writes: YAML, JSON lines, durations."""
