"""Phones: the table of models, their profile files, and telling them to restart (phones.md).

Nothing in here knows the database: phones arrive as plain snapshots.
"""
