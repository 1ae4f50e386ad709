"""Stand-ins for tests of search: fake ports."""
