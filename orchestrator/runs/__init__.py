"""Running: one problem at a time (runner), many at once (scheduler), and what is kept (store)."""
