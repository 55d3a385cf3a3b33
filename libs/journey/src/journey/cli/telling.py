"""What the doctor found in a trace, as text."""

from collections.abc import Iterator, Sequence

from journey.cli.excerpt import around
from journey.cli.terminal import Terminal
from journey.doctor import REMARKS, Diagnosis, Verdict
from journey.draw import draw, summary
from journey.formatting import count, plain


def told(diagnosis: Diagnosis, terminal: Terminal, *, drawn: bool) -> str:
    """Write a line of a journey that is whole; else the findings too and, if it is to be *drawn*, where they are."""
    trace = diagnosis.trace
    head = f"{plain(trace.id)}  {diagnosis.verdict:<6}  {summary(trace)}"
    findings = [finding for finding in diagnosis.findings if finding.cause not in REMARKS]
    if not findings:
        return "\n".join([head, *_remarks(diagnosis)])
    lines = [terminal.paint(head, "error" if diagnosis.verdict is Verdict.BROKEN else "wait")]
    if drawn:
        lines += ["", *_drawn(diagnosis, terminal), ""]
    for finding in findings:
        lines += [f"{finding.cause}, most likely: {plain(finding.says)}", f"  check: {finding.check}"]
    return "\n".join([*lines, *_remarks(diagnosis)])


def _remarks(diagnosis: Diagnosis) -> Iterator[str]:
    for finding in diagnosis.findings:
        if finding.cause in REMARKS:
            yield f"remark: {plain(finding.says)}"
            yield f"  check: {finding.check}"


def _drawn(diagnosis: Diagnosis, terminal: Terminal) -> Sequence[str]:
    marks: dict[str, list[str]] = {}
    for finding in diagnosis.findings:
        marks.setdefault(finding.at, []).append(f"{finding.cause}?")
    part = around(diagnosis.trace, marks)
    left_out = len(diagnosis.trace.spans) - len(part.spans)
    drawing = draw(part, terminal.width, marks=marks, missing=diagnosis.missing, paint=terminal.paint)
    more = [f"{count(left_out, 'more span')} not drawn: journey show draws all."] if left_out else []
    return [*drawing.splitlines()[3:], *more]
