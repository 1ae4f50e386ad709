"""What a person sees: terminal, progress, tables of fleets and profiles."""
