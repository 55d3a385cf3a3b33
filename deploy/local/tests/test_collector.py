"""The Collector that is built is the one that is described, and it takes the configuration that we ship."""

import os
import re
import subprocess

from stack import Stack
from stack.settings import REPOSITORY

FOLDER = REPOSITORY / "otel-collector"
# What a builder's configuration lists, by the folder of its module.
KINDS = re.compile(r"/(receiver|processor|exporter|connector|extension|confmap/provider)/")
MODULE = re.compile(r"(\S+) (v\d\S+)$", re.MULTILINE)


def test_the_committed_sources_have_the_components_of_builder_config_and_no_others() -> None:
    described = set(MODULE.findall((FOLDER / "builder-config.yaml").read_text()))
    direct = (FOLDER / "sources" / "go.mod").read_text().split("require (")[1]
    generated = {(module, version) for module, version in MODULE.findall(direct) if KINDS.search(module)}

    assert generated == described, "builder-config.yaml was changed: run `uv run stack renew collector`"


def test_the_collector_finds_no_fault_with_its_configuration(stack_of_session: Stack) -> None:
    stack_of_session.up("collector")
    program = stack_of_session.settings.downloads / "collector" / "otelcol"
    validation = subprocess.run(
        [program, "validate", "--config", FOLDER / "config.yaml"],
        env={**os.environ, "COLLECTOR_DATA": str(stack_of_session.settings.data)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (validation.returncode, validation.stdout, validation.stderr) == (0, "", "")
