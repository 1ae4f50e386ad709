"""Choosing a strategy for each problem by a profile."""
