"""Users and phones as CSV files, with the columns of sipXconfig's own import (migration.md)."""
