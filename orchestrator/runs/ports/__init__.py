"""Wrappers around the ports of a tree: charging, replaying, sharing."""
