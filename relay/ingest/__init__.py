"""Step 1: authenticate, parse and store each request before answering it."""
