"""The worker: relays what the web process has stored."""

from demo_faults import Faults
from eventbus import command, read_settings, run

from orders import faults, store
from orders.config import WorkerConfig
from orders.events import OrderPlaced


def main() -> None:
    config = read_settings(WorkerConfig)
    demo = Faults.from_environment(faults.SCENARIOS)
    database = config.open_database(store.SCHEMA)
    run(
        "orders",
        config,
        database,
        publishes=demo.on_publishing(OrderPlaced),
        retain=[store.KEYS, store.orders_for(config.keep_orders_days)],
    )


if __name__ == "__main__":
    command(main, store.SCHEMA)
