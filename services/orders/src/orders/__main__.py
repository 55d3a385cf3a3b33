"""The worker: relays what the web process has stored."""

from eventbus import Database, read_settings, run

from orders import faults, store
from orders.config import WorkerConfig
from orders.events import OrderPlaced


def main() -> None:
    config = read_settings(WorkerConfig)
    database = Database.with_tables(config.database_url, store.metadata)
    run(
        "orders",
        config,
        database,
        publishes=[OrderPlaced],
        retain=[store.KEYS, store.orders_for(config.keep_orders_days)],
        scenarios=faults.SCENARIOS,
    )


if __name__ == "__main__":
    main()
