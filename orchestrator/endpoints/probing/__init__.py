"""What an endpoint can do, found out by asking it for a little."""
