"""What the runner tells people."""

import subprocess
import sys

PROGRAM = """
import sys
from stack.console import Progress

sys.stdin.read()
Progress().say("kafka", "ready")
print("more")
print("all is stopped", file=sys.stderr)
"""


def test_where_nobody_reads_any_more_the_work_goes_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin and program.stdout and program.stderr
        program.stdout.close()
        program.stdin.close()
        said = program.stderr.read()

    assert (program.returncode, said) == (0, "all is stopped\n")
