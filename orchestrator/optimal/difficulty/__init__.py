"""Predict how hard a problem is, from a few samples and without its reference answer."""
