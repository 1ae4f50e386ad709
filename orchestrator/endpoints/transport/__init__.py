"""One model behind its replicas: sends a request, and tells failures apart."""
