"""What a service is for the stack stands in its pyproject; what cannot read that there agrees with it."""

import re
from pathlib import Path

import pytest
import yaml
from stack import Settings, StackError
from stack.catalogue import Service, services
from stack.new_service import LINES, Line, bans
from stack.parts import every
from stack.settings import REPOSITORY

COMPOSE = yaml.safe_load((REPOSITORY / "deploy" / "compose.yml").read_text())
NAMES = [service.name for service in services()]
BANS = [(name, line) for name in NAMES for line in bans(name, NAMES)]


def test_each_service_that_there_is_is_found_in_the_order_of_its_events() -> None:
    assert sorted(NAMES) == sorted(folder.name for folder in (REPOSITORY / "services").iterdir() if folder.is_dir())
    for at, service in enumerate(services()):
        written_before = {event for other in services()[:at] for event in other.writes}
        assert set(service.reads) <= written_before


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.file}: {line.text.strip()}"[:60])
def test_what_cannot_read_the_table_has_a_line_for_each_service(line: Line, service: Service) -> None:
    assert (REPOSITORY / line.file).read_text().count(f"\n{line.of(service.name)}\n") == 1


@pytest.mark.parametrize(("service", "ban"), BANS)
def test_each_service_is_kept_from_importing_each_other_one(service: str, ban: Line) -> None:
    assert f"\n{ban.text}\n" in f"{(REPOSITORY / ban.file).read_text()}\n"


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_containers_run_the_same_processes(service: Service) -> None:
    names = [service.worker, *([service.name] if service.web else [])]
    variable = f"${{{service.name.upper()}_DATABASE_URL:-sqlite:////var/lib/{service.name}/{service.name}.db}}"
    local = every(Settings())
    for name in names:
        container = COMPOSE["services"][name]
        assert container["environment"]["OTEL_SERVICE_NAME"] == service.name
        assert container["environment"]["DATABASE_URL"] == variable
        assert container["volumes"] == [f"{service.name}:/var/lib/{service.name}"]
        of_its_own = service.web.environment if service.web and name == service.name else service.environment
        assert of_its_own.keys() <= container["environment"].keys()
        assert name in local
    assert COMPOSE["services"][service.worker]["command"] == ["python", "-m", service.name]


def test_the_image_is_given_every_folder_that_it_is_built_of() -> None:
    dockerfile = (REPOSITORY / "deploy" / "Dockerfile").read_text()
    given = set(re.findall(r"^!(.+)$", (REPOSITORY / ".dockerignore").read_text(), re.M))
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.M) for name in line.split()}
    mounted = {source.split("/")[0] for source in re.findall(r"type=bind,source=([^,]+)", dockerfile)}

    assert copied | mounted == given


@pytest.mark.parametrize(
    ("table", "fault"),
    [("", r"has no table \[tool\.stack\]"), ("[tool.stack]\nraeds = []\n", r"\[tool\.stack\].*\n.*raeds")],
)
def test_a_table_that_is_missing_or_wrong_is_named_with_its_file(tmp_path: Path, table: str, fault: str) -> None:
    file = tmp_path / "services" / "shipping" / "pyproject.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'[project]\nname = "shipping"\n{table}')

    with pytest.raises(StackError, match=f"{file}.*{fault}"):
        services(tmp_path)
