"""Benchmarks of the relay on the machine that they run on: `python -m bench`.

Each benchmark is a module with a `TITLE` and a function `measure` that returns a `Result`.
"""
