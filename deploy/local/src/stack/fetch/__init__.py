"""Fetches and builds what the stack runs, once: into the folder of downloads, each part with a stamp."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from threading import Thread

from stack.console import Progress, StackError
from stack.fetch import collector, jars, tools
from stack.fetch.work import Commands, Work
from stack.polling import alone
from stack.settings import Settings

TELL_EVERY = 10.0

Step = Callable[[Work], None]
STEPS: Mapping[str, Step] = {
    "kafka": jars.fetch_kafka,
    "zipkin": jars.fetch_zipkin,
    "collector": collector.build,
}
RENEWALS: Mapping[str, Step] = {"collector": collector.renew, "jars": jars.renew}
NEED_TOOLS = {*STEPS, "postgres"}


def ensure(settings: Settings, parts: Collection[str], progress: Progress) -> Thread | None:
    """Have everything that these parts need, verified; the network's work and the compiler's go side by side.

    Raises StackError naming the part that could not be made. Interrupted at any moment it leaves no process, and half
    made work is made anew the next time. The thread returned deletes what was needed for building only.
    """
    steps = {name: step for name, step in STEPS.items() if name in parts}
    if not NEED_TOOLS.intersection(parts):
        return None
    commands = Commands(settings.home)
    work = Work(settings.downloads, commands, progress)
    with ThreadPoolExecutor() as pool:
        try:
            _together(pool, {"tools": tools.fetch}, work)
            _together(pool, steps, work)
        except BaseException:
            commands.stop()
            raise
    return collector.remove_caches(settings.downloads)


def _together(pool: ThreadPoolExecutor, steps: Mapping[str, Step], work: Work) -> None:
    pending = {pool.submit(_named, name, step, work): name for name, step in steps.items()}
    while pending:
        done, _ = wait(pending, timeout=TELL_EVERY, return_when=FIRST_COMPLETED)
        for future in done:
            del pending[future]
            future.result()
        for name in [] if done else pending.values():
            work.progress.say(name, work.so_far.get(name, lambda: "still at work")())


def _named(name: str, step: Step, work: Work) -> None:
    try:
        # One lock for each part: who needs only the broker does not wait for somebody else's compiler.
        with alone(work.downloads / "locks" / f"{name}.lock", work.progress, work.commands.check):
            step(work)
    except StackError as error:
        raise StackError(f"{name}: {error}") from error


def renew(what: str, settings: Settings) -> None:
    """For maintainers: write what is pinned anew, after a change of a version. What comes of it is committed."""
    work = Work(settings.downloads, Commands(settings.home), Progress())
    tools.fetch(work)
    RENEWALS[what](work)
