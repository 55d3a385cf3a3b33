import contextlib
import signal
from collections.abc import Sequence

import psutil

from stack import processes
from stack.children import Children
from stack.errors import StackError
from stack.polling import wait_until
from stack.console import Screen
from stack.settings import Settings

STOP_SECONDS = 35.0
# After SIGTERM PostgreSQL waits for its clients to go; this ends their sessions.
SIGNALS = {"postgres": signal.SIGINT}


def stop_together(names: Sequence[str], settings: Settings, children: Children, screen: Screen) -> None:
    """Ask the named parts to end, by SIGTERM as a rule, and wait until nothing is left of them.

    After 35 s what is left is killed, and that is said. Interrupted it kills at once: nothing is left then either.
    """
    found = {name: process for name, process in processes.leaders(settings.home).items() if name in names}
    leaders = list(found.values())
    for name, process in found.items():
        processes.send([process], SIGNALS.get(name, signal.SIGTERM))
    processes.send(leaders, signal.SIGCONT)  # one that was paused by a signal hears no other

    def objection() -> str | None:
        for name in names:
            children.exit_code(name)  # reaps it
        return "still there" if any(map(processes.lives, leaders)) else None

    try:
        wait_until("stop", objection, STOP_SECONDS)
    except StackError:
        for process in filter(processes.lives, leaders):
            with contextlib.suppress(psutil.Error):
                part = process.environ()[processes.PART_MARK]
                screen.say(part, f"did not end within {STOP_SECONDS:.0f} s of SIGTERM and was killed")
    finally:
        for name in names:
            children.kill(name)
