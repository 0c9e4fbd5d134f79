"""Measures the relay on the machine that it runs on; each module is the question that it answers."""
