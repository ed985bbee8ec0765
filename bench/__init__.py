"""Measures the server beside a floor: a bare application that does the least that can be done.

``make bench`` runs it; ``python -m bench --help`` says what can be chosen.
"""
