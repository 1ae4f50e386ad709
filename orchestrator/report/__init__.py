"""From a run's records to numbers with intervals, tables and figures."""
