"""A shell with a proxy, as companies have it: nothing on this machine is asked for there."""

import subprocess
from collections.abc import Callable

import pytest
from stack import Settings, Stack, StackError, arrival

pytestmark = pytest.mark.long

# Nobody listens there.
DEAD = "http://127.0.0.1:9"
PROXIES = {name: DEAD for word in ("http_proxy", "https_proxy", "all_proxy") for name in (word, word.upper())}
SHELL = {**PROXIES, "NO_PROXY": "", "no_proxy": ""}


def test_behind_a_proxy_everything_starts_and_an_order_is_one_trace(
    settings: Settings, command: Callable[..., subprocess.Popen[str]]
) -> None:
    up = command("up", **SHELL)
    started, _ = up.communicate(timeout=300)
    order = command("order", **SHELL)
    shown, _ = order.communicate(timeout=120)
    Stack(settings).down()

    assert up.returncode == 0, started
    assert order.returncode == 0, shown
    assert "6 spans, 3 services" in shown


def test_a_system_whose_spans_do_not_arrive_says_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "ARRIVAL_SECONDS", 1.0)
    settings.data.mkdir(parents=True)
    with Stack(settings) as stack:
        stack.up("orders")
        with pytest.raises(StackError, match=r"spans do not arrive in Zipkin .* `uv run stack logs orders`"):
            arrival.check(settings)
