"""PostgreSQL, for a service on more than one host: every setting and its reason."""

from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine import ExceptionContext

# Nobody waits forever, whatever has died. A server that is not there is known after:
_CONNECT_TIMEOUT_S = 5
# A row or a table that somebody has locked is waited for as long as SQLite's only lock is:
_LOCK_TIMEOUT_S = 15
# The bus and the services run statements of milliseconds; what takes so long never ends:
_STATEMENT_TIMEOUT_S = 20
# A process that hangs inside of a transaction keeps its locks from all others; no handler may wait so long in one:
_IDLE_IN_TRANSACTION_S = 15
# A server that hangs, or whose host is gone, answers nothing, not even that a statement took too long:
_ANSWER_TIMEOUT_S = _STATEMENT_TIMEOUT_S + 5
# The relay's statements wait for nothing, and it is to notice soon that its lock may be gone:
_POLL_ANSWER_TIMEOUT_S = 5

_SESSION = {
    "lock_timeout": f"{_LOCK_TIMEOUT_S}s",
    "statement_timeout": f"{_STATEMENT_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": f"{_IDLE_IN_TRANSACTION_S}s",
    # A client whose host is gone loses its session, and a relay its lock, after 11 s instead of two hours.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# The web has 16 threads and a worker 32 slots at most, with a connection each; a quiet process keeps 5.
_POOL = {"pool_size": 5, "max_overflow": 30, "pool_timeout": 15, "pool_pre_ping": True}


def writer(url: URL) -> Engine:
    """Return an engine whose transactions see what others have committed, statement by statement."""
    return _engine(url, _ANSWER_TIMEOUT_S, **_POOL)


def unsynced(writer: Engine) -> Engine:
    """Return an engine on the same connections whose transactions do not wait for the disk."""
    engine = writer.execution_options()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")

    return engine


def reader(writer: Engine) -> Engine:
    """Return an engine on the same connections whose transactions read one snapshot."""
    return writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def poller(url: URL) -> Engine:
    """Return an engine whose connections are the caller's alone, in autocommit mode, and end when they are closed."""
    # There is nothing to reset at the end, which may be that of a session that broke off.
    how = {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
    return _engine(url, _POLL_ANSWER_TIMEOUT_S, **how)


def _engine(url: URL, answer_timeout: float, **how: Any) -> Engine:
    # Error texts travel in logs and spans: hide_parameters keeps customers' data out of them.
    engine = create_engine(url, hide_parameters=True, **how)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> psycopg.Connection[Any]:
        own = parameters.pop("options", "")  # what the URL says comes last, and so is what counts
        options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
        defaults = {"connect_timeout": _CONNECT_TIMEOUT_S}
        connection = _Connection.connect(**{**defaults, **parameters}, options=f"{options} {own}")
        connection.answer_timeout = answer_timeout
        return connection

    @event.listens_for(engine, "handle_error")
    def hide_details(context: ExceptionContext) -> None:
        # PostgreSQL's second line quotes the row: "DETAIL: Key (idempotency_key)=(…) already exists."
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None and error.args:
                error.args = (str(error.args[0]).partition("\n")[0],)

    return engine


class _Connection(psycopg.Connection[Any]):
    """A connection that gives up a server which does not answer."""

    answer_timeout: float = _CONNECT_TIMEOUT_S

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.answer_timeout if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()  # its answer may still come, and must not be taken for the next one's
            raise psycopg.OperationalError(f"the server did not answer within {self.answer_timeout} s") from error
