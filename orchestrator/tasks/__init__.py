"""Tasks: problems, the prompts they are asked with, and the grading of answers."""
