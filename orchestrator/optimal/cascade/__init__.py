"""Across models: which model answers a problem, and after how much search."""
