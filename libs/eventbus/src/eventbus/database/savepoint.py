"""A part of a transaction that can be undone alone."""

from typing import Any

from sqlalchemy import Connection


class Savepoint:
    """What is done from now on: it is undone or kept, and nothing else of the transaction. It ends before the next one.

    By the driver: SQLAlchemy's own takes ten times as long. Raises the driver's errors.
    """

    def __init__(self, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        self._execute = driver.execute
        self._execute("SAVEPOINT part")

    def keep(self) -> None:
        """Make it a part of the transaction like any other."""
        self._execute("RELEASE SAVEPOINT part")

    def undo(self) -> None:
        """Undo it."""
        self._execute("ROLLBACK TO SAVEPOINT part")
        self._execute("RELEASE SAVEPOINT part")
