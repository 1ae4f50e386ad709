"""How hard a problem is, told from a few samples without its answer."""
