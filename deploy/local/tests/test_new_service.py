"""A fourth service by one command, in a copy of the repository: it is checked, it runs, and orders pass through it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import journey
import pytest
from stack import Settings, Stack, StackError, demo, new_service, processes
from stack.fetch.tools import uv
from stack.settings import PORTS, REPOSITORY

pytestmark = pytest.mark.long

# Beside notifier, which reads the same event.
CHAIN = (
    *journey.read_chain(demo.CHAIN),
    journey.Row(7, "shipping", "CONSUMER", "process invoices", parent=4),
    journey.Row(8, "shipping", "PRODUCER", "send shipments", parent=7),
)


class Copy:
    """A copy of the repository with an environment and a stack of its own."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        ports = {name.upper(): str(getattr(settings, name)) for name in PORTS}
        outside = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        places = {"STACK_FOLDER": str(settings.home), "STACK_DOWNLOADS": str(REPOSITORY / ".stack")}
        self._environment = {**outside, **ports, **places}

    def run(self, *command: str) -> str:
        """Run a command in the copy, as a person does there."""
        ran = subprocess.run(
            [uv(REPOSITORY / ".stack"), "run", *command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ran.returncode == 0, f"{' '.join(command)}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, stack_of_session: Stack) -> Iterator[Copy]:
    stack_of_session.fetch()  # so that the copy finds all that is downloaded and built
    folder = tmp_path_factory.mktemp("copy")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name, follow_symlinks=False)
    copy = Copy(folder, Settings.isolated(tmp_path_factory.mktemp("home")))
    yield copy
    processes.kill_all(copy.settings.home)


def test_a_new_service_is_checked_and_runs_and_its_two_spans_are_where_they_belong(copy: Copy) -> None:
    said = copy.run("stack", "new", "shipping", "--reads", "invoice.issued.v1", "--writes", "shipment.booked.v1")
    copy.run("ruff", "check")
    copy.run("ruff", "format", "--check")
    copy.run("mypy", "services/shipping/src")
    tests = ["services/shipping", "tests/contracts/test_events.py", "tests/contracts/test_architecture.py"]
    copy.run("pytest", "-q", "-k", "not postgresql", *tests, "deploy/local/tests/test_catalogue.py")
    copy.run("stack", "up")
    order = demo.place_order(copy.settings.orders_url)
    trace = journey.wait_for(copy.settings.zipkin_url, order["trace_id"], CHAIN, timeout=60)
    copy.run("stack", "down")

    assert "services/shipping is there" in said
    assert journey.read_chain(copy.folder / demo.CHAIN.name) == CHAIN
    assert [span.name for span in trace.spans if span.service == "shipping"] == ["process invoices", "send shipments"]


@pytest.mark.parametrize(
    ("name", "reads", "writes", "fault"),
    [
        ("billing", "invoice.issued.v1", "shipment.booked.v1", "there is a service billing already"),
        ("Ship-ping", "invoice.issued.v1", "shipment.booked.v1", "'Ship-ping' is not a name for a service"),
        ("shipping", "invoice.lost.v1", "shipment.booked.v1", "no service writes invoice.lost.v1: there are invoice"),
        ("shipping", "order.placed.v1", "invoice.issued.v1", "billing writes invoice.issued.v1 already"),
        ("shipping", "order.placed.v1", "shipped", "'shipped' is not a type of an event"),
    ],
)
def test_a_service_that_cannot_be_is_refused_before_anything_is_written(
    name: str, reads: str, writes: str, fault: str
) -> None:
    with pytest.raises(StackError, match=fault):
        new_service.create(name, reads, writes)
    assert not (REPOSITORY / "services" / "shipping").exists()
