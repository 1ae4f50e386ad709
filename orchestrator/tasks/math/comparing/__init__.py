"""From two values to a verdict: by form first, by algebra where form does not decide."""
