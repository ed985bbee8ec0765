"""Plans statements of every call once for each connection: PREPARE and EXECUTE for psycopg2.

PostgreSQL needs longer to plan a large statement than to run it, and psycopg2 has no prepared
statements of its own. Here each statement with the execution option ``prepared=True`` is prepared
when a connection sees it first. PostgreSQL must be able to tell the types of its parameters from
where they stand. All works without this module, a little slower.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import sqlalchemy as sa

_numbers = count(1)

_OUTDATED = frozenset({"0A000", "26000"})
"""SQLSTATEs of plans that are of no use: a type has changed since, or somebody dropped them."""


def listen(engine: sa.Engine) -> None:
    """Prepare the statements of this engine's connections.

    A connection whose plans have become useless is replaced, and all that are as old.
    """
    sa.event.listen(engine, "before_cursor_execute", _execute, retval=True)
    sa.event.listen(engine, "handle_error", _look_at_error)


def _execute(
    connection: sa.Connection,
    _cursor: Any,
    statement: str,
    parameters: Any,
    context: sa.ExecutionContext,
    executemany: bool,  # noqa: FBT001 - the event has it so
) -> tuple[str, Any]:
    """Return what is executed instead of a statement."""
    if executemany or not context.execution_options.get("prepared"):
        return statement, parameters
    names: dict[str, str] = connection.info.setdefault("prepared", {})
    name = names.get(statement)
    prepare = ""
    if name is None:
        name = names[statement] = f"prepared_{next(_numbers)}"
        numbered = {each: f"${number}" for number, each in enumerate(parameters, 1)}
        # The same driver formats it, so every % is doubled as it was in the statement.
        prepare = f"PREPARE {name} AS {statement % numbered}; ".replace("%", "%%")
    arguments = ", ".join(f"%({each})s" for each in parameters)
    return f"{prepare}EXECUTE {name}" + (f" ({arguments})" if arguments else ""), parameters


def _look_at_error(context: sa.ExceptionContext) -> None:
    if getattr(context.original_exception, "pgcode", None) in _OUTDATED:
        context.is_disconnect = context.invalidate_pool_on_disconnect = True
    elif context.connection is not None and (context.statement or "").startswith("PREPARE "):
        # Perhaps it could not be prepared; another try does that under another name.
        context.connection.info["prepared"].popitem()
