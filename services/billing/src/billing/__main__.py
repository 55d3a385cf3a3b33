"""The worker: each order placed is billed, and the invoice announced."""

from eventbus import command, read_settings, run, within_transaction

from billing import faults, store
from billing.config import WorkerConfig
from billing.events import InvoiceIssued, OrderPlaced
from billing.handlers import issue_invoice


def main() -> None:
    config = read_settings(WorkerConfig)
    database = config.open_database(store.SCHEMA)
    run(
        "billing",
        config,
        database,
        subscriptions=[within_transaction(OrderPlaced, issue_invoice, store.Ledger)],
        publishes=[InvoiceIssued],
        scenarios=faults.SCENARIOS,
    )


if __name__ == "__main__":
    command(main, store.SCHEMA)
