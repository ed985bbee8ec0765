"""The WSGI edge: routing, authentication, limits, pages and health (wire.md §1, §3 and §7)."""
