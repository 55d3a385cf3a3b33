"""The worker: relays what the web process has stored."""

from eventbus import command, read_settings, run

from orders import faults, store
from orders.config import WorkerConfig
from orders.events import OrderPlaced


def main() -> None:
    config = read_settings(WorkerConfig)
    database = config.open_database(store.SCHEMA)
    run(
        "orders",
        config,
        database,
        publishes=[OrderPlaced],
        retain=[store.KEYS, store.orders_for(config.keep_orders_days)],
        scenarios=faults.SCENARIOS,
    )


if __name__ == "__main__":
    command(main, store.SCHEMA)
