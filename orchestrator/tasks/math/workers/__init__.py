"""The processes that do the algebra, and can be killed."""
