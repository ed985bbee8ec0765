"""One parser for each format of profiles, written from the format and not from our writer.

Each returns all keys of a file with their values. A key that stands there twice is an error: it
would be one that nobody wrote.
"""

from __future__ import annotations


def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Keys and values, each key once."""
    found = dict(pairs)
    assert len(found) == len(pairs), f"repeated: {sorted(key for key, _ in pairs)}"
    return found
