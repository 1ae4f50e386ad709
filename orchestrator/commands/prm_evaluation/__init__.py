"""``orchard prm-eval``: PRMs on labelled solutions."""
