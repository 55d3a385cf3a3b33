"""A worker that is not set up does not start, and says which variable it is."""

from socket import gethostname

import pytest
from eventbus import read_settings

from notifier.config import WorkerConfig

COMPLETE = {
    "DATABASE_URL": "sqlite:////var/lib/notifier/notifier.db",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "INSTANCE_ID": "notifier-1",
    "STATUS_FILE": "/run/notifier.json",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": "1025",
    "MAIL_FROM": "billing@shop.example",
}
SPOILED = [
    *((name, "", "is missing: ") for name in COMPLETE if name != "INSTANCE_ID"),
    ("DATABASE_URL", "notifier.db", "is wrong ("),
    ("DATABASE_URL", "mysql://db/notifier", "is wrong ("),
    ("KAFKA_BOOTSTRAP_SERVERS", "localhost", "is wrong ("),
    ("SMTP_PORT", "smtp", "is wrong ("),
    ("SMTP_PORT", "0", "is wrong ("),
    ("SMTP_PORT", "65536", "is wrong ("),
    ("MAIL_FROM", "billing", "is wrong ("),
    ("MAIL_FROM", "billing@", "is wrong ("),
    ("MAIL_FROM", "bil,ling@shop.example", "is wrong ("),
    ("MAIL_FROM", "billing@shop@example", "is wrong ("),
    ("MAIL_FROM", "Billing <billing@shop.example>", "is wrong ("),
    ("MAIL_FROM", "billing@shop.example\n", "is wrong ("),
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A complete environment, to be spoiled."""
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_complete_environment_is_read(environment: pytest.MonkeyPatch) -> None:
    config = read_settings(WorkerConfig)

    assert {name: str(getattr(config, name.lower())) for name in COMPLETE} == COMPLETE


@pytest.mark.parametrize(("name", "value", "complaint"), SPOILED)
def test_a_worker_names_the_variable_that_is_missing_or_wrong(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, complaint: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        read_settings(WorkerConfig)

    [line] = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2
    assert line.startswith(f"{name} {complaint}")


def test_the_host_names_a_worker_that_has_no_name(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("INSTANCE_ID")

    assert read_settings(WorkerConfig).instance_id == f"notifier-{gethostname()}"
