import pytest
from eventbus import read_settings
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings


class Config(BaseSettings, frozen=True):
    tiny_host: str = Field(description="the mail server, like 127.0.0.1")
    tiny_port: int = Field(ge=1, le=65535, description="its port, like 1025")
    tiny_name: str = "default"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TINY_HOST", "TINY_PORT", "TINY_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_settings_are_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_HOST", "mail.example")
    monkeypatch.setenv("TINY_PORT", "1025")
    config = read_settings(Config)

    assert (config.tiny_host, config.tiny_port, config.tiny_name) == ("mail.example", 1025, "default")


def test_settings_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_HOST", "mail.example")
    monkeypatch.setenv("TINY_PORT", "1025")
    config = read_settings(Config)

    with pytest.raises(ValidationError):
        config.tiny_port = 1  # type: ignore[misc]


def test_each_wrong_variable_has_its_line_and_the_process_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TINY_PORT", "99999")

    with pytest.raises(SystemExit) as ended:
        read_settings(Config)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "TINY_HOST is missing: the mail server, like 127.0.0.1",
        "TINY_PORT is wrong (Input should be less than or equal to 65535): its port, like 1025",
    ]
