"""The system under test, whichever way it is run: what the tests look at and what they do to it."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Protocol

from stack import Stack

from tests.e2e.mails import Mailbox, MaildirMailbox, MailpitMailbox

REPOSITORY = Path(__file__).parents[2]


class System(Protocol):
    """A running system and the means to stop and start its parts."""

    orders_url: str
    zipkin_url: str
    kafka: str
    mailbox: Mailbox

    def up(self) -> None:
        """Have every part running and ready."""

    def stop(self, part: str) -> int:
        """Stop a part as an operator does (SIGTERM) and return its exit code."""

    def start(self, part: str) -> None:
        """Start a part and wait until it is ready."""

    def logs(self, part: str) -> str:
        """Return what a part has logged."""

    def spans(self) -> str:
        """Return all spans that the Collector took, as OTLP in JSON lines."""


class LocalSystem:
    """The stack without Docker."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.orders_url = stack.settings.orders_url
        self.zipkin_url = stack.settings.zipkin_url
        self.kafka = stack.settings.kafka
        self.mailbox: Mailbox = MaildirMailbox(stack.settings.mail_folder)

    def up(self) -> None:
        self._stack.up()

    def stop(self, part: str) -> int:
        code = self._stack.stop(part)
        assert code is not None
        return code

    def start(self, part: str) -> None:
        self._stack.start(part)

    def logs(self, part: str) -> str:
        return self._stack.log(part).read_text()

    def spans(self) -> str:
        return "".join(file.read_text() for file in self._stack.settings.audit_folder.glob("traces*.jsonl"))


class ComposeSystem:
    """The containers of compose.yaml; `make test-compose` brings them up and takes them down."""

    def __init__(self) -> None:
        self.orders_url = f"http://127.0.0.1:{os.environ.get('ORDERS_PORT', '8080')}"
        self.zipkin_url = f"http://127.0.0.1:{os.environ.get('ZIPKIN_PORT', '9411')}"
        self.kafka = f"127.0.0.1:{os.environ.get('KAFKA_PORT', '9092')}"
        self.mailbox: Mailbox = MailpitMailbox(f"http://127.0.0.1:{os.environ.get('MAIL_PORT', '8025')}")

    def up(self) -> None:
        self.compose("up", "--detach", "--wait", "--quiet-pull")

    def stop(self, part: str) -> int:
        self.compose("stop", part)
        return int(self.inspect(part, "{{.State.ExitCode}}"))

    def start(self, part: str) -> None:
        self.compose("up", "--detach", "--wait", "--no-deps", part)

    def logs(self, part: str) -> str:
        return self.compose("logs", "--no-log-prefix", part)

    def spans(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            self.compose("cp", "collector:/var/lib/otelcol/audit", folder)
            return "".join(file.read_text() for file in Path(folder).rglob("traces*.jsonl"))

    def container(self, part: str) -> str:
        """Return the id of a part's container."""
        return self.compose("ps", "--all", "--quiet", part).strip()

    def kill(self, part: str) -> None:
        """SIGKILL a part's first process from outside: for Docker an accident, unlike `docker kill`."""
        # The number is one of the engine's machine, which need not be this one.
        kill = f"import os; os.kill({self.inspect(part, '{{.State.Pid}}')}, 9)"
        image = "one-order-one-trace:local"
        docker("run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "python", image, "-c", kill)

    def inspect(self, part: str, field: str) -> str:
        """Return one field of a part's container."""
        return docker("inspect", "--format", field, self.container(part)).strip()

    def compose(self, *arguments: str) -> str:
        """Run a command of Docker Compose."""
        return docker("compose", *arguments)


def docker(*arguments: str) -> str:
    """Run a docker command in the repository and return what it printed."""
    done = subprocess.run(["docker", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout
