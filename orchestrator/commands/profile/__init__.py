"""``orchard profile``: measure cells and fit profiles."""
