"""Only what was pinned is run: what is damaged is refused, when it comes and at every start."""

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from stack import Settings, Stack, StackError, processes
from stack.fetch import stamp
from stack.settings import REPOSITORY

FETCHED = REPOSITORY / ".stack"


@pytest.fixture
def downloads(tmp_path: Path, stack_of_session: Stack) -> Path:
    """A folder of downloads that has the tools and nothing else."""
    stack_of_session.up("kafka", "collector")  # so that there is something to damage a copy of
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "venv").symlink_to(FETCHED / "venv")
    return folder


@pytest.fixture
def impostor() -> Iterator[str]:
    """A Maven repository that has every jar, and each is something else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"something else")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("part", "file"), [("kafka", "kafka-clients-4.3.1.jar"), ("collector", "otelcol")])
def test_one_changed_byte_in_a_file_that_was_fetched_before_is_refused(
    settings: Settings, downloads: Path, part: str, file: str
) -> None:
    shutil.copytree(FETCHED / part, downloads / part)
    _change_one_byte(downloads / part / file)

    with pytest.raises(StackError) as refusal:
        Stack(settings.model_copy(update={"downloads": downloads})).up(part)
    assert f"{downloads / part / file} is damaged: its SHA-256 is" in str(refusal.value)
    assert f"Delete the folder {downloads / part} and start again" in str(refusal.value)
    assert processes.find(settings.home) == []


def test_a_download_that_is_not_what_the_lock_file_pins_is_refused_and_not_kept(
    settings: Settings, downloads: Path, impostor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAVEN_REPOSITORY", impostor)

    with pytest.raises(StackError, match=r"io\.zipkin:zipkin-server:3\.6\.1:slim was refused: .* jars\.lock pins"):
        Stack(settings.model_copy(update={"downloads": downloads})).up("zipkin")
    assert not (downloads / "zipkin").exists()


def test_work_that_was_interrupted_before_its_stamp_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "half.jar").write_text("half")
    without = stamp.read(tmp_path)
    (tmp_path / stamp.NAME).write_text('{"made_from": "somethi')
    damaged = stamp.read(tmp_path)

    assert without is None
    assert damaged is None


@pytest.mark.parametrize("variable", ["JAVA", "GO"])
def test_a_java_or_go_of_ones_own_that_is_no_program_is_named(
    settings: Settings, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "no-such-program")

    with pytest.raises(StackError, match=f"{variable}=no-such-program is no program"):
        Stack(settings).up("kafka")


def _change_one_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
