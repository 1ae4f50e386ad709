"""What goes over a connection: senders, the wire format, retries."""
