"""What search is: problems, trees, ports, selection, votes and budgets. Standard library only."""
