"""The HTTP server, its worker processes and the health endpoints."""
