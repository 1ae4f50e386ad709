"""Policies over HTTP, by how they continue a solution."""
