"""How good a PRM is: labelled solutions, its scores, and what they say together."""
