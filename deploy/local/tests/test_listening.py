import psutil
from stack import Stack, processes


def test_the_system_listens_on_loopback_only(stack: Stack) -> None:
    listening = {
        (address.laddr.ip, address.laddr.port)
        for process in processes.find(stack.settings.home)
        for address in process.net_connections("tcp")
        if address.status == psutil.CONN_LISTEN
    }

    assert {port for _, port in listening} >= {port for part in stack.status() for port in part.ports.values()}
    assert {ip.removeprefix("::ffff:") for ip, _ in listening} == {"127.0.0.1"}
