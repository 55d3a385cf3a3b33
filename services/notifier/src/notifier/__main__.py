"""The worker: each invoice issued is mailed."""

from eventbus import Database, outside_transaction, read_settings, run

from notifier import faults, store
from notifier.config import WorkerConfig
from notifier.events import InvoiceIssued
from notifier.handlers import mail_invoice
from notifier.mailer import Mailer


def main() -> None:
    config = read_settings(WorkerConfig)
    database = Database.with_tables(config.database_url, store.metadata)
    with Mailer(host=config.smtp_host, port=config.smtp_port, sender=config.mail_from) as mailer:
        run(
            "notifier",
            config,
            database,
            subscriptions=[outside_transaction(InvoiceIssued, mail_invoice, mailer, record=store.note_sent)],
            retain=[store.MAILS],
            scenarios=faults.SCENARIOS,
        )


if __name__ == "__main__":
    main()
