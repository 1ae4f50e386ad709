"""From a solution to the answer it states."""
