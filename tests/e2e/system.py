"""The system under test, whichever way it is run: what the tests look at and what they do to it."""

import os
import subprocess
import tempfile
from pathlib import Path
from signal import SIGKILL, Signals
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

    def kill(self, part: str) -> None:
        """SIGKILL a part: an accident, after which containers come back by themselves and local parts do not."""

    def signal(self, part: str, number: Signals) -> None:
        """Send a signal to every process of a part, like SIGSTOP to have it hang."""

    def replicas(self, worker: str) -> list[str]:
        """Return the parts that do the same work: `billing`, `billing-2` …"""

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

    def kill(self, part: str) -> None:
        self._stack.kill(part)

    def signal(self, part: str, number: Signals) -> None:
        self._stack.signal(part, number)

    def replicas(self, worker: str) -> list[str]:
        return self._stack.settings.replicas_of(worker)

    def logs(self, part: str) -> str:
        return self._stack.log(part).read_text()

    def spans(self) -> str:
        return "".join(
            file.read_text(errors="replace") for file in self._stack.settings.audit_folder.glob("traces*.jsonl")
        )


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
            return "".join(file.read_text(errors="replace") for file in Path(folder).rglob("traces*.jsonl"))

    def kill(self, part: str) -> None:
        # From outside: for Docker an accident, unlike `docker kill`. The others end with a container's first process.
        self._signal([self.inspect(part, "{{.State.Pid}}")], SIGKILL)

    def signal(self, part: str, number: Signals) -> None:
        self._signal(docker("top", self.container(part), "-o", "pid").split()[1:], number)

    def _signal(self, pids: list[str], number: Signals) -> None:
        # The numbers are those of the engine's machine, which need not be this one.
        send = f"import os; [os.kill(pid, {number.value}) for pid in ({', '.join(pids)},)]"
        image = "one-order-one-trace:local"
        docker("run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "python", image, "-c", send)

    def replicas(self, worker: str) -> list[str]:
        return sorted(self._containers(worker))

    def container(self, part: str) -> str:
        """Return the id of a part's container."""
        return self._containers(part.rstrip("-0123456789"))[part]

    def _containers(self, service: str) -> dict[str, str]:
        """Return the ids of a service's containers by the names of parts: `billing`, `billing-2` …"""
        lines = self.compose("ps", "--all", "--format", "{{.Name}} {{.ID}}", service).splitlines()
        numbers = {line.split()[0].rpartition("-")[2]: line.split()[1] for line in lines}
        return {service if number == "1" else f"{service}-{number}": each for number, each in numbers.items()}

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
