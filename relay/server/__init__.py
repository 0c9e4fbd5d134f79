"""The HTTP server, its worker processes, start and stop of the relay's components, health endpoints.

Import from its modules: `server` (one process), `supervisor` (several processes), `lifecycle`, `health`.
"""
