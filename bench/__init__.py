"""Measures the server beside a floor, the least that the same libraries can do.

``make bench`` runs it; `bench.workloads` has the table of what is measured.
"""
