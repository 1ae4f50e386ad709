"""The composition root: from a config to problems, ports and plan. It alone sees every room."""
