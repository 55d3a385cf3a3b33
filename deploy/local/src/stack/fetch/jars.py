"""Kafka's and Zipkin's jars, as the lock file pins them."""

import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.console import StackError
from stack.fetch import stamp
from stack.fetch.work import Work
from stack.settings import REPOSITORY

MAVEN = Path(__file__).with_name("maven.py")
LOCK = REPOSITORY / "deploy" / "local" / "jars.lock"


@dataclass(frozen=True)
class Jar:
    """One pinned jar: Maven coordinates `group:artifact:version[:classifier]`, and the SHA-256 it must have."""

    coordinates: str
    sha256: str

    @property
    def name(self) -> str:
        _, *rest = self.coordinates.split(":")
        return "-".join(rest) + ".jar"


def pinned(part: str, lock: Path = LOCK) -> Sequence[Jar]:
    """Return the jars of a part as the lock file pins them."""
    lines = (line.split() for line in lock.read_text().splitlines() if not line.startswith("#"))
    return [Jar(coordinates, sha256) for sha256, of, coordinates in lines if of == part]


def fetch_kafka(work: Work) -> None:
    """Have Kafka's jars in `kafka/`, each with the SHA-256 that the lock file pins, now and not only when they came."""
    folder = work.downloads / "kafka"
    made = stamp.Stamp(made_from=LOCK.name, files={jar.name: jar.sha256 for jar in pinned("kafka")})
    if stamp.read(folder) != made:
        stamp.finish(_download(work, "kafka"), made, folder)
    stamp.verify(folder, made)


def fetch_zipkin(work: Work) -> None:
    """Have Zipkin unpacked in `zipkin/`, from the pinned jar: it starts 2 s faster than the fat one."""
    folder = work.downloads / "zipkin"
    [jar] = pinned("zipkin")
    made = stamp.read(folder)
    if made is None or made.made_from != jar.sha256:
        new = _download(work, "zipkin")
        _unpack(new / jar.name, new)
        made = stamp.of_folder(new, made_from=jar.sha256)
        stamp.finish(new, made, folder)
    stamp.verify(folder, made)


def _download(work: Work, part: str) -> Path:
    jars = pinned(part)
    work.progress.say(part, f"downloading {len(jars)} jars" if len(jars) > 1 else "downloading 1 jar (86 MB)")
    new = work.new_folder(part)
    work.so_far[part] = lambda: _progress(new)
    wanted = "\n".join(jar.coordinates for jar in jars)
    work.commands.run([*_maven(work), "download", str(new)], os.environ, log=work.log(part), stdin=wanted)
    for jar in jars:
        _accept(new, jar)
    work.progress.say(part, f"{len(jars)} downloaded and as {LOCK.name} pins")
    return new


def _maven(work: Work) -> list[str]:
    return [str(work.downloads / "venv" / "bin" / "python"), str(MAVEN)]


def _progress(folder: Path) -> str:
    try:
        return f"{sum(file.stat().st_size for file in folder.rglob('*.jar')) // 1_000_000} MB downloaded"
    except FileNotFoundError:  # moved between two looks
        return "downloading"


def _accept(folder: Path, jar: Jar) -> None:
    found = stamp.sha256(folder / jar.name)
    if found != jar.sha256:
        raise StackError(
            f"{jar.coordinates} was refused: what came has the SHA-256 {found}, {LOCK.name} pins {jar.sha256}.\n"
            f"Nothing of it was run. Start again to download it anew; if it comes the same way twice, somebody between "
            f"the repository and this machine serves another file."
        )


def _unpack(jar: Path, folder: Path) -> None:
    """Spring Boot's layout: libraries as they are, the application's own classes into one more jar."""
    (folder / "lib").mkdir()
    with zipfile.ZipFile(jar) as source, zipfile.ZipFile(folder / "app.jar", "w") as own:
        for entry in source.infolist():
            name = entry.filename
            if name.startswith("BOOT-INF/classes/") and not entry.is_dir():
                own.writestr(name.removeprefix("BOOT-INF/classes/"), source.read(entry))
            elif name.startswith("BOOT-INF/lib/") and name.endswith(".jar"):
                (folder / "lib" / Path(name).name).write_bytes(source.read(entry))
    jar.unlink()


def renew(work: Work) -> None:
    """Resolve Kafka's tree of dependencies and write jars.lock with the hashes of what is served today."""
    lines: list[str] = []
    resolve = [*_maven(work), "resolve", str(work.new_folder("resolved"))]
    work.commands.run(resolve, os.environ, log=work.log("jars"), each_line=lines.append)
    shutil.rmtree(work.downloads / "resolved.new")
    head = [line for line in LOCK.read_text().splitlines() if line.startswith("#")]
    LOCK.write_text("\n".join([*head, *lines]) + "\n")
