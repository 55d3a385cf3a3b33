import os
import shlex
import subprocess

from stack.errors import StackError
from stack.settings import Settings
from stack.toolchain import postgres

# One database for each service, which its role alone may enter, and one for tests.
DATABASES = ("orders", "billing", "notifier", "test")

# Makes new data beside its place and moves it there whole: an interrupted first start leaves nothing half made.
# SIGTERM would let the server wait for its clients to go; SIGINT ends their sessions and shuts down cleanly.
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
$AS_USER "$BIN/postgres" -D "$DATA" -p "$PORT" -h 127.0.0.1 -k "" &
server=$!
trap 'kill -INT $server' TERM
set +e
while kill -0 $server 2> /dev/null; do wait $server; code=$?; done
exit $code
"""

COMMAND = ["sh", "-c", SCRIPT]

_ANOTHER_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]


def environment(settings: Settings) -> dict[str, str]:
    """What SCRIPT is run with."""
    return {
        "BIN": str(postgres(settings.downloads).parent),
        "DATA": str(settings.data / "postgres"),
        "PORT": str(settings.postgres_port),
        "AS_USER": shlex.join(_ANOTHER_USER) if _is_root() else "",
        # Loopback only and without a password, each role into its own database; nobody is let in as superuser.
        "ACCESS": "\n".join(f"host {name} {name} 127.0.0.1/32 trust" for name in DATABASES),
        "DATABASES": "\n".join(
            f"CREATE ROLE {name} LOGIN;\nCREATE DATABASE {name} OWNER {name};" for name in DATABASES
        ),
    }


def prepare(settings: Settings) -> None:
    """Make the folder of the data. Raises StackError where a server cannot be run."""
    if reason := objection():
        raise StackError(reason)
    settings.data.mkdir(parents=True, exist_ok=True)


def url(settings: Settings, name: str) -> str:
    """Return the URL of one of DATABASES."""
    return f"postgresql+psycopg://{name}@127.0.0.1:{settings.postgres_port}/{name}"


def objection() -> str | None:
    """Return why this process cannot run a server here; None where it can."""
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


def _is_root() -> bool:
    return os.geteuid() == 0
