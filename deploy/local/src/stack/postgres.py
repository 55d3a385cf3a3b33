import contextlib
import os
import shlex
import subprocess
from pathlib import Path

import psutil

from stack.catalogue import services
from stack.console import StackError
from stack.fetch.tools import postgres
from stack.polling import wait_until
from stack.settings import Settings

# Makes new data beside its place and moves it there whole: an interrupted first start leaves nothing half made.
SCRIPT = """\
set -e
if ! [ -e "$DATA/PG_VERSION" ]; then
    rm -rf "$DATA.new"
    $AS_USER "$BIN/initdb" --pgdata="$DATA.new" --username=postgres --auth=reject --no-locale --encoding=UTF8
    printf '%s\n' "$ACCESS" > "$DATA.new/pg_hba.conf"
    printf '%s\n' "$DATABASES" | $AS_USER "$BIN/postgres" --single -D "$DATA.new" postgres
    rm -rf "$DATA"
    mv "$DATA.new" "$DATA"
fi
exec $AS_USER "$BIN/postgres" -D "$DATA" -p "$PORT" -h 127.0.0.1 -k ""
"""

COMMAND = ["sh", "-c", SCRIPT]

LEFT_SECONDS = 10.0
_ANOTHER_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]


def environment(settings: Settings) -> dict[str, str]:
    """What SCRIPT is run with."""
    return {
        "BIN": str(postgres(settings.downloads).parent),
        "DATA": str(_data(settings)),
        "PORT": str(settings.postgres_port),
        "AS_USER": shlex.join(_ANOTHER_USER) if _is_root() else "",
        # Loopback only and without a password, each role into its own database; nobody is let in as superuser.
        "ACCESS": "\n".join(f"host {name} {name} 127.0.0.1/32 trust" for name in databases()),
        "DATABASES": "\n".join(
            f"CREATE ROLE {name} LOGIN;\nCREATE DATABASE {name} OWNER {name};" for name in databases()
        ),
    }


def prepare(settings: Settings) -> None:
    """Make the folder of the data, and wait until nothing of a killed server works in it any more.

    Raises StackError if a server cannot be run.
    """
    if reason := objection():
        raise StackError(reason)
    settings.data.mkdir(parents=True, exist_ok=True)
    wait_until("the sessions of a killed PostgreSQL end", lambda: _left(settings), LEFT_SECONDS)


def databases() -> list[str]:
    """Return the names: one for each service, which its role alone may enter, and one for tests."""
    return [*(service.name for service in services()), "test"]


def url(settings: Settings, name: str) -> str:
    """Return the URL of one of the databases."""
    return libpq_url(settings, name).replace("postgresql", "postgresql+psycopg", 1)


def libpq_url(settings: Settings, name: str) -> str:
    """Return the same URL as the driver itself takes it."""
    return f"postgresql://{name}@127.0.0.1:{settings.postgres_port}/{name}"


def objection() -> str | None:
    """Return why this process cannot run a server here; None if it can."""
    if not _is_root():
        return None
    try:
        tried = subprocess.run([*_ANOTHER_USER, "true"], capture_output=True, text=True, timeout=10)
    except OSError as error:
        why = str(error)
    else:
        why = tried.stderr.strip()
        if tried.returncode == 0:
            return None
    return f"PostgreSQL refuses to run as root, and to be another user is not allowed here ({why}): run as another user"


def _left(settings: Settings) -> str | None:
    # A session ends by itself soon after its server, and has overwritten the marks by which others are found.
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "postgres" and process.cwd() == str(_data(settings)):
                return f"process {process.pid} is left"
    return None


def _data(settings: Settings) -> Path:
    return settings.data / "postgres"


def _is_root() -> bool:
    return os.geteuid() == 0
