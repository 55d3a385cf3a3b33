"""Never both: where the stock instrumentation is installed and not disabled, aiokafka is left to it."""

import os
import subprocess
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka_otel import AIOKafkaInstrumentor
from aiokafka_otel.stock import ADVICE, DISTRIBUTION, stock_is_in_charge

from .support import ROOT, UV, Kafka, example_of_readme, run_instrumented

ENVIRONMENT = ROOT / ".stack" / "venv-stock"
DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"

# Which wrappers are around `send` once both have been switched on, in the order of the arguments.
BOTH = """
import sys
from aiokafka import AIOKafkaProducer
from aiokafka_otel import AIOKafkaInstrumentor as aiokafka_otel
from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor as aiokafka

for name in sys.argv[1:]:
    globals()[name]().instrument()
method = AIOKafkaProducer.send
while hasattr(method, "_self_wrapper"):
    print(method._self_wrapper.__module__)
    method = method.__wrapped__
"""


@pytest.fixture
def metadata_of_stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an installed distribution leaves behind."""
    folder = tmp_path / f"{DISTRIBUTION.replace('-', '_')}-0.66b1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 0.66b1\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture(scope="module")
def stock_environment() -> Path:
    command = [UV, "sync", "--quiet", "--frozen", "--all-packages", "--group", "stock"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT)}, check=True)
    return ENVIRONMENT


def test_without_the_stock_package_it_is_not_in_charge() -> None:
    assert not stock_is_in_charge()


@pytest.mark.parametrize(
    ("disabled", "in_charge"),
    [("", True), ("flask, aiokafka_otel", True), ("aiokafka", False), ("flask , aiokafka", False), ("*", False)],
)
def test_an_installed_stock_package_is_in_charge_unless_disabled(
    disabled: str, in_charge: bool, metadata_of_stock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DISABLED, disabled)

    assert stock_is_in_charge() is in_charge


def test_aiokafka_is_left_to_stock_and_this_is_said_once(
    metadata_of_stock: None,
) -> None:
    send = vars(AIOKafkaProducer)["send"]
    with pytest.warns(RuntimeWarning) as warnings:
        AIOKafkaInstrumentor().instrument()
    try:
        assert vars(AIOKafkaProducer)["send"] is send
        assert [str(warning.message) for warning in warnings] == [ADVICE]
    finally:
        AIOKafkaInstrumentor().uninstrument()
    assert vars(AIOKafkaProducer)["send"] is send


@pytest.mark.own_environment
@pytest.mark.parametrize("order", [("aiokafka", "aiokafka_otel"), ("aiokafka_otel", "aiokafka")])
def test_only_stock_wraps_aiokafka_whichever_is_loaded_first(order: tuple[str, str], stock_environment: Path) -> None:
    run = subprocess.run(
        [stock_environment / "bin" / "python", "-c", BOTH, *order], capture_output=True, text=True, check=True
    )

    assert run.stdout.split() == ["opentelemetry.instrumentation.aiokafka.utils"]
    assert run.stderr.count(ADVICE) == 1


@pytest.mark.own_environment
def test_disabling_stock_brings_ours_back(readme_topics: Kafka, stock_environment: Path) -> None:
    kafka = readme_topics
    with_stock, warnings = run_instrumented(stock_environment, example_of_readme(), kafka)
    with_ours, quiet = run_instrumented(stock_environment, example_of_readme(), kafka, **{DISABLED: "aiokafka"})

    assert {span["name"] for span in with_stock} == {"greetings send", "greetings receive", "replies send"}
    assert [span["name"] for span in with_ours] == ["send greetings", "process greetings", "send replies"]
    assert (warnings.count(ADVICE), quiet.count(ADVICE)) == (1, 0)
