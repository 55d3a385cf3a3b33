"""`maven.py download FOLDER`, `maven.py resolve FOLDER`: run by the Python that has jgo, the Maven resolver.

*download* reads coordinates from standard input and puts the jars into the folder, side by side. Nothing is resolved:
what is wanted is pinned, one by one, so no tree of POMs has to be read. The caller checks that the bytes are right.
*resolve* prints a line of jars.lock for every jar that the parts need; the folder is for the downloads.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jgo.maven  # type: ignore[import-not-found]

KAFKA = ["org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36"]
ZIPKIN = "io.zipkin:zipkin-server:3.6.1:slim"
TRIES = 3


def _download(coordinates: str, repository: Path, folder: Path) -> str:
    """Put one jar into the folder; three tries, because one in fifty downloads failing is no news."""
    remote = {"mirror": url} if (url := os.environ.get("MAVEN_REPOSITORY")) else None
    context = jgo.maven.MavenContext(repo_cache=repository, remote_repos=remote, timeout=30)
    wanted = context.create_dependency(coordinates).artifact
    for left in reversed(range(TRIES)):
        try:
            file = Path(wanted.resolve())
            break
        except Exception as error:
            if not left:
                raise SystemExit(f"{coordinates}: {error}") from error
            wanted.cached_path.unlink(missing_ok=True)  # a half of it counts as present
            time.sleep(1)
    shutil.move(file, folder / file.name)
    return coordinates


def download(folder: Path) -> None:
    repository = folder / "repository"
    with ThreadPoolExecutor(8) as pool:
        for done in pool.map(lambda c: _download(c, repository, folder), sys.stdin.read().split()):
            print(done, flush=True)
    shutil.rmtree(repository)


def resolve(folder: Path) -> None:
    context = jgo.maven.MavenContext(repo_cache=folder)
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
    {"download": download, "resolve": resolve}[sys.argv[1]](Path(sys.argv[2]))
