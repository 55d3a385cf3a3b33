"""Downloads the jars whose coordinates it reads from standard input, side by side, into the folder given.

Run by the Python that has jgo, the Maven resolver. Nothing is resolved: what is wanted is pinned, one by one, so no
tree of POMs has to be read. The caller checks that the bytes are right.
"""

import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jgo.maven  # type: ignore[import-not-found]

TRIES = 3


def download(coordinates: str, repository: Path, folder: Path) -> str:
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


def main() -> None:
    folder = Path(sys.argv[1])
    repository = folder / "repository"
    with ThreadPoolExecutor(8) as pool:
        for done in pool.map(lambda c: download(c, repository, folder), sys.stdin.read().split()):
            print(done, flush=True)
    shutil.rmtree(repository)


if __name__ == "__main__":
    main()
