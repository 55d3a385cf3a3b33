"""A process that is not set up does not start, and says which variable it is."""

from socket import gethostname

import pytest
from eventbus import read_settings

from orders.config import WebConfig, WorkerConfig

COMPLETE = {
    "DATABASE_URL": "sqlite:////var/lib/orders/orders.db",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "INSTANCE_ID": "orders-1",
    "STATUS_FILE": "/run/orders.json",
}
ZIPKIN = "http://127.0.0.1:9411"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A complete environment, to be spoiled."""
    monkeypatch.delenv("ZIPKIN_PUBLIC_URL", raising=False)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def complaint(settings: type[WebConfig] | type[WorkerConfig], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on stderr with which the process ends."""
    with pytest.raises(SystemExit) as stopped:
        read_settings(settings)
    [line] = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2
    return line


def test_a_complete_environment_is_read(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ZIPKIN_PUBLIC_URL", ZIPKIN)
    web, worker = read_settings(WebConfig), read_settings(WorkerConfig)

    assert (web.database_url, web.zipkin_public_url) == (COMPLETE["DATABASE_URL"], ZIPKIN)
    assert worker.kafka_bootstrap_servers == COMPLETE["KAFKA_BOOTSTRAP_SERVERS"]
    assert worker.instance_id == COMPLETE["INSTANCE_ID"]
    assert str(worker.status_file) == COMPLETE["STATUS_FILE"]


@pytest.mark.parametrize("name", sorted(COMPLETE.keys() - {"INSTANCE_ID"}))
@pytest.mark.parametrize("empty", [True, False])
def test_a_worker_names_the_variable_that_is_missing(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, empty: bool
) -> None:
    if empty:
        environment.setenv(name, "")
    else:
        environment.delenv(name)

    assert complaint(WorkerConfig, capsys).startswith(f"{name} is missing: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "orders.db"),
        ("DATABASE_URL", "mysql://db/orders"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "postgresql://db/orders"),
        ("DATABASE_URL", "postgresql+psycopg://ada:secret@db"),
        ("DATABASE_URL", "postgresql+psycopg://ada:secret@db/"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:kafka"),
    ],
)
def test_a_worker_names_the_variable_that_is_wrong(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    environment.setenv(name, value)
    said = complaint(WorkerConfig, capsys)

    assert said.startswith(f"{name} is wrong (")
    assert "secret" not in said


def test_the_web_process_needs_its_database_only(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in COMPLETE:
        environment.delenv(name)

    assert complaint(WebConfig, capsys).startswith("DATABASE_URL is missing: ")


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:9411",
        "http://127.0.0.1:9411/",
        "http://ada:secret@zipkin.example",
        "http://zipkin.example; script-src *",
        "http://zipkin.example,http://other.example",
        "http://zipkin.example/?q",
        "javascript:alert(1)",
        'http://zipkin.example/"><script>',
    ],
)
def test_an_address_of_zipkin_that_is_no_plain_one_is_refused(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    environment.setenv("ZIPKIN_PUBLIC_URL", url)
    said = complaint(WebConfig, capsys)

    assert said.startswith("ZIPKIN_PUBLIC_URL is wrong (")
    assert "secret" not in said


def test_the_host_names_a_worker_that_has_no_name(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("INSTANCE_ID")

    assert read_settings(WorkerConfig).instance_id == f"orders-{gethostname()}"
