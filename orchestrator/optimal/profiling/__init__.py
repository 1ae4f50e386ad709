"""From measured samples and trees to a profile."""
