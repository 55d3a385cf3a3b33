"""Where the clocks that wrote a trace cannot all be right."""

from journey.formatting import lasting
from journey.queues import queue_wait
from journey.trace import Node, Trace


def clock_fault(node: Node) -> str:
    """Say in which way the times of a span cannot be right, alone or beside its caller's; "" if they can."""
    span, caller = node.span, node.parent.span if node.parent else None
    if span is None:
        return ""
    if span.duration is not None and span.duration < 0:
        return f"ended {lasting(-span.duration)} before it began: its clock was set back"
    if span.kind != "SERVER" or caller is None or caller.kind != "CLIENT" or span.start is None or caller.start is None:
        return ""
    early = caller.start - span.start
    return f"began {lasting(early)} before it was called: the clocks differ" if early > 0 else ""


def clocks_differ(trace: Trace) -> bool:
    """Tell whether times of a trace cannot be right, so that its duration is not either."""
    return any(clock_fault(node) or ((wait := queue_wait(node)) and wait.microseconds < 0) for node in trace.tree())
