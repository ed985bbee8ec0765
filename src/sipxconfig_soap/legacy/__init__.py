"""Moving an existing sipXconfig here (migration.md).

A database of sipXconfig is read once, in one snapshot (`source`). Each kind of data has a module
that reads its rows, judges them by the rules of the domain, and puts what may be taken over into
temporary tables of the target (`staging`). Conflicts are found there (`conflicts`), the report is
written (`report`), and only then everything is written in one transaction (`target`).
"""
