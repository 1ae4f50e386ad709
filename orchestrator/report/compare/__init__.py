"""Comparisons of cells, within a run and across runs."""
