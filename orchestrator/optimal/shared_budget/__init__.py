"""One budget for all problems of a run, spent where it gains most."""
