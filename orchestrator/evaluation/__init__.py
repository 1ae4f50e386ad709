"""How good a PRM is: labelled solutions, its scores of them, and what the two together say."""
