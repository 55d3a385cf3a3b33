"""Prints a line of jars.lock for every jar that the parts need; the folder given is for the downloads.

Run by the Python that has jgo, the Maven resolver.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import jgo.maven  # type: ignore[import-not-found]

KAFKA = ["org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36"]
ZIPKIN = "io.zipkin:zipkin-server:3.6.1:slim"


def main() -> None:
    context = jgo.maven.MavenContext(repo_cache=Path(sys.argv[1]))
    for part, artifacts in (("kafka", _tree(context, KAFKA)), ("zipkin", [context.create_dependency(ZIPKIN).artifact])):
        for artifact in sorted(artifacts, key=_coordinates):
            sha256 = hashlib.sha256(Path(artifact.resolve()).read_bytes()).hexdigest()
            print(f"{sha256}  {part}  {_coordinates(artifact)}", flush=True)


def _tree(context: jgo.maven.MavenContext, wanted: Sequence[str]) -> list[jgo.maven.Artifact]:
    resolved, needed = context.resolver.resolve([context.create_dependency(each) for each in wanted])
    return [dependency.artifact for dependency in [*resolved, *needed]]


def _coordinates(artifact: jgo.maven.Artifact) -> str:
    parts = [artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier]
    return ":".join(part for part in parts if part)


if __name__ == "__main__":
    main()
