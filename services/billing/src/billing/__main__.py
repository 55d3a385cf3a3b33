"""The worker: each order placed is billed, and the invoice announced."""

from eventbus import Database, read_settings, run, within_transaction

from billing import faults, store
from billing.config import WorkerConfig
from billing.events import InvoiceIssued, OrderPlaced
from billing.handlers import issue_invoice


def main() -> None:
    config = read_settings(WorkerConfig)
    database = Database.with_tables(config.database_url, store.metadata)
    run(
        "billing",
        config,
        database,
        subscriptions=[within_transaction(OrderPlaced, issue_invoice, store.Ledger)],
        publishes=[InvoiceIssued],
        scenarios=faults.SCENARIOS,
    )


if __name__ == "__main__":
    main()
