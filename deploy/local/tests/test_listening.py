import psutil
from stack import Stack, processes


def test_the_infrastructure_listens_on_loopback_only(stack_of_session: Stack) -> None:
    stack_of_session.up("kafka", "zipkin", "collector", "mail")
    listening = {
        (address.laddr.ip, address.laddr.port)
        for process in processes.find(stack_of_session.settings.home)
        for address in process.net_connections("tcp")
        if address.status == psutil.CONN_LISTEN
    }

    settings = stack_of_session.settings
    assert {port for _, port in listening} >= {settings.kafka_port, settings.zipkin_port, settings.smtp_port}
    assert {ip.removeprefix("::ffff:") for ip, _ in listening} == {"127.0.0.1"}
