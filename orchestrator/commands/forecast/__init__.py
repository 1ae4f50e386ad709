"""``orchard plan``: a run simulated on a fleet nobody needs to have."""
