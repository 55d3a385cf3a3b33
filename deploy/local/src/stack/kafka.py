from pathlib import Path

from stack.fetch.tools import java
from stack.settings import Settings

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
# An unknown topic is an error to be seen, not a topic with one partition.
auto.create.topics.enable=false
# A broker that was killed waits for the end of its own old session before it serves again: 9 s by default.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# A new group starts at once; nobody else is about to join.
group.initial.rebalance.delay.ms=0
# One node holds every copy there is.
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""

# Formats new data beside its place and moves it there whole: an interrupted first start leaves nothing half made.
SCRIPT = """\
set -e
if ! [ -e "$DATA/meta.properties" ]; then
    rm -rf "$DATA.new"
    "$JAVA" $JVM -cp "$JARS" kafka.tools.StorageTool format --cluster-id ZGVtby1vcmRlci1qb3VybmV5 --config "$FORMAT"
    rm -rf "$DATA"
    mv "$DATA.new" "$DATA"
fi
exec "$JAVA" $JVM -Xmx512m -cp "$JARS" kafka.Kafka "$CONFIG"
"""

COMMAND = ["sh", "-c", SCRIPT]


def environment(settings: Settings) -> dict[str, str]:
    """What SCRIPT is run with."""
    return {
        "JAVA": str(java(settings.downloads)),
        # The fast start of a small heap: no parallel collector, no second compiler.
        "JVM": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.showDateTime=true",
        "JARS": f"{settings.downloads / 'kafka'}/*",
        "DATA": str(_data(settings)),
        "CONFIG": str(_config(settings)),
        "FORMAT": str(_config(settings).with_name("format.properties")),
    }


def prepare(settings: Settings) -> None:
    """Write the broker's two configuration files."""
    data, config = _data(settings), _config(settings)
    config.parent.mkdir(parents=True, exist_ok=True)
    ports = {"port": settings.kafka_port, "controller_port": settings.kafka_controller_port}
    config.write_text(PROPERTIES.format(data=data, **ports))
    config.with_name("format.properties").write_text(PROPERTIES.format(data=f"{data}.new", **ports))


def _data(settings: Settings) -> Path:
    return settings.data / "kafka"


def _config(settings: Settings) -> Path:
    return settings.home / "config" / "kafka.properties"
