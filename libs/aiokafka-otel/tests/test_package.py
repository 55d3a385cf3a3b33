"""The package as others get it: built, installed into an empty environment, with the example of its README."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from .support import PACKAGE, ROOT, UV, Kafka, example_of_readme, parent_id_of, run_instrumented

pytestmark = pytest.mark.own_environment


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([UV, "build", "--quiet", "--out-dir", folder, PACKAGE], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_types_licence_readme_and_entry_points(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {name.split("/", 1)[1]: name for name in archive.namelist()}
        metadata = archive.read(files["METADATA"]).decode()
        entry_points = archive.read(files["entry_points.txt"]).decode()

    assert {"py.typed", "instrumentor.py", "licenses/LICENSE"} <= set(files)
    assert (PACKAGE / "README.md").read_text() in metadata
    assert "aiokafka_otel = aiokafka_otel:AIOKafkaInstrumentor" in entry_points
    assert "repeatable = aiokafka_otel.id_generator:RepeatableIdGenerator" in entry_points


def test_the_example_of_the_readme_is_one_trace(wheel: Path, readme_topics: Kafka, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([UV, "venv", "--quiet", environment], cwd=ROOT, check=True)
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--python", environment, wheel, "opentelemetry-distro"],
        cwd=ROOT,  # where the one release of OpenTelemetry is chosen
        check=True,
    )

    spans, _ = run_instrumented(environment, example_of_readme(), readme_topics)

    assert [span["name"] for span in spans] == ["send greetings", "process greetings", "send replies"]
    assert [parent_id_of(span) for span in spans] == [None, *(span["context"]["span_id"] for span in spans[:2])]
    assert len({span["context"]["trace_id"] for span in spans}) == 1
