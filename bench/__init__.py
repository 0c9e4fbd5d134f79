"""Benchmarks of the relay on the machine that they run on: `python -m bench`.

Each question is a module with a `QUESTION` and a function `measure` that returns a `Result`. CPU time, as the
kernel counts it for all processes of the relay, is the steady measure: it is compared with that of a bare
endpoint (`bench.bare`), measured beside it. Only events and records that are found afterwards count.

`bench.capacity` computes from the figures what other installations hold.
"""
