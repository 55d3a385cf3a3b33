"""The variables of the runner: what each may be is said where it is something else."""

from pathlib import Path

import pytest
from stack import Settings, StackError
from stack.catalogue import services
from stack.parts import Part, table

WORKERS = [service.worker for service in services()]


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STACK_FOLDER", "STACK_DOWNLOADS", "STACK_REPLICAS", "STACK_DATABASE", "DEMO_FAULTS"):
        monkeypatch.delenv(name, raising=False)


def parts_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Part]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return table(Settings.from_environment())


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("KAFKA_PORT", "http", "KAFKA_PORT='http' is not a port: give a number from 1 to 65535"),
        ("SMTP_PORT", "65536", "SMTP_PORT='65536' is not a port: give a number from 1 to 65535"),
        ("STACK_REPLICAS", "4", "STACK_REPLICAS='4' is not a number of replicas: give a number from 1 to 3"),
        ("STACK_REPLICAS", "two", "STACK_REPLICAS='two' is not a number of replicas: give a number from 1 to 3"),
        ("STACK_DATABASE", "mysql", "STACK_DATABASE='mysql' is not a database: give sqlite or postgresql"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_variable_and_what_it_may_be(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(StackError) as error:
        Settings.from_environment()

    assert str(error.value) == message


def test_without_variables_there_is_one_of_each_worker_on_a_file_of_its_service() -> None:
    settings = Settings.from_environment()
    parts = table(settings)

    assert [name for name, part in parts.items() if part.service] == ["orders", *WORKERS]
    assert {name: parts[name].environment["INSTANCE_ID"] for name in WORKERS} == {w: f"{w}-1" for w in WORKERS}
    assert parts["billing"].environment["DATABASE_URL"] == f"sqlite:///{settings.data}/billing.db"
    assert "postgres" not in parts
    assert "DEMO_FAULTS" not in parts["orders"].environment


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_with(
        monkeypatch, KAFKA_PORT="", STACK_FOLDER="", STACK_REPLICAS="", STACK_DATABASE="", DEMO_FAULTS=""
    )

    assert {name: part.environment for name, part in parts.items()} == {
        name: part.environment for name, part in table(Settings()).items()
    }


def test_a_stack_of_its_own_reads_no_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"STACK_FOLDER": "/elsewhere", "STACK_REPLICAS": "3", "KAFKA_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    settings = Settings.isolated(tmp_path)

    assert (settings.home, settings.replicas, settings.kafka_port == 1) == (tmp_path.resolve(), 1, False)


def test_replicas_have_a_name_a_place_in_the_group_and_a_status_of_their_own_and_the_database_in_common(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = parts_with(monkeypatch, STACK_REPLICAS="3")
    workers = {name: part.environment for name, part in parts.items() if "INSTANCE_ID" in part.environment}

    assert [*workers] == [name for worker in WORKERS for name in (worker, f"{worker}-2", f"{worker}-3")]
    for own in ("INSTANCE_ID", "STATUS_FILE"):
        assert len({environment[own] for environment in workers.values()}) == len(workers)
    assert len({environment["DATABASE_URL"] for environment in workers.values()}) == len(WORKERS)


def test_on_postgresql_each_service_has_one_database_and_no_other_service_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = parts_with(monkeypatch, STACK_DATABASE="postgresql", STACK_REPLICAS="2")
    databases = {
        (part.environment["OTEL_SERVICE_NAME"], part.environment["DATABASE_URL"])
        for part in parts.values()
        if part.service
    }

    assert "postgres" in parts
    assert all(url.startswith("postgresql+psycopg://") for _, url in databases)
    assert sorted(service for service, _ in databases) == sorted(service.name for service in services())
    assert len({url for _, url in databases}) == len(databases)


def test_demo_faults_is_for_the_services_only_where_the_runner_was_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = parts_with(monkeypatch, DEMO_FAULTS="1").values()

    assert {part.environment.get("DEMO_FAULTS") for part in told if part.service} == {"1"}
    assert {part.environment.get("DEMO_FAULTS") for part in told if not part.service} == {None}
