import time
from collections.abc import Sequence

from stack.children import Children
from stack.errors import PartFailed
from stack.parts import Part
from stack.polling import pause
from stack.console import Screen

START_SECONDS = 90.0


def start_together(wanted: Sequence[Part], new: Sequence[Part], children: Children, screen: Screen) -> None:
    """Spawn the new parts side by side, each after those that it comes after, and wait until all wanted are ready.

    Raises PartFailed naming the first part that ended or was not ready in time, and why.
    """
    began = {part.name: time.monotonic() for part in wanted}
    to_spawn, pending = list(new), {part.name: part for part in wanted}
    while pending:
        for part in [p for p in to_spawn if not pending.keys() & set(p.after)]:
            try:
                children.spawn(part)
            except OSError as error:
                raise PartFailed(part.name, f"cannot be started: {error}") from error
            began[part.name] = time.monotonic()
            to_spawn.remove(part)
        for part in [p for p in pending.values() if p not in to_spawn]:
            objection = part.probe()
            if objection is None:
                screen.say(part.name, "ready")
                del pending[part.name]
            elif (code := children.exit_code(part.name)) is not None and part in new:
                raise PartFailed(part.name, f"ended with exit code {code} before it was ready")
            elif time.monotonic() - began[part.name] > START_SECONDS:
                raise PartFailed(part.name, f"was not ready within {START_SECONDS:.0f} s: {objection}")
        pause()
