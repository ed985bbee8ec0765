"""What an old server and this one answer differently (docs/migration.md)."""
