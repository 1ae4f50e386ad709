"""The language of mathematical answers: from text to values that can be compared."""
