"""Running: grow one tree (search), grade it (grading), many at once (scheduler)."""
