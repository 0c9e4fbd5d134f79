"""Capacity: a year of calls, replayed against the service times that `make bench` measured.

`python -m bench.capacity` prints the tables of docs/capacity.md. It measures nothing, needs no server, and
gives the same tables for the same figures on every machine.
"""
