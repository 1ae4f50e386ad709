"""Votes: how much each leaf of a search counts for its answer. ``core.voting`` holds elections."""
