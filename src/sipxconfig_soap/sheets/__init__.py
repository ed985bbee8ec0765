"""Users and phones as CSV files, with sipXconfig's columns (docs/migration.md)."""
