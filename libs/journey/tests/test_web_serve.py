"""`journey serve` as a process of its own."""

import re
import subprocess
import sys

import requests


def test_the_page_is_served_alone_until_it_is_ended() -> None:
    command = [sys.executable, "-c", "from journey.cli import main; main()", "serve"]
    where = ["--zipkin", "http://127.0.0.1:9", "--port", "0"]
    with subprocess.Popen([*command, *where], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            found = re.search(r"http://127\.0\.0\.1:\d+$", process.stdout.readline().strip())
            assert found

            assert "Recent journeys" in requests.get(f"{found[0]}/", timeout=10).text
            assert requests.get(f"{found[0]}/api/journeys", timeout=10).status_code == 502
        finally:
            process.terminate()
