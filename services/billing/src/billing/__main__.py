"""The worker: each order placed is billed, and the invoice announced."""

from demo_faults import Faults
from eventbus import command, read_settings, run, within_transaction

from billing import faults, store
from billing.config import WorkerConfig
from billing.events import InvoiceIssued, OrderPlaced
from billing.handlers import issue_invoice


def main() -> None:
    config = read_settings(WorkerConfig)
    demo = Faults.from_environment(faults.SCENARIOS)
    database = config.open_database(store.SCHEMA)
    run(
        "billing",
        config,
        database,
        subscriptions=demo.on_handling(within_transaction(OrderPlaced, issue_invoice, store.Ledger)),
        publishes=demo.on_publishing(InvoiceIssued),
    )


if __name__ == "__main__":
    command(main, store.SCHEMA)
