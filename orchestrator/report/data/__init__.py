"""What tables and figures show, computed from records."""
