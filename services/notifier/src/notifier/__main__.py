"""The worker: each invoice issued is mailed."""

from demo_faults import Faults
from eventbus import command, outside_transaction, read_settings, run

from notifier import faults, store
from notifier.config import WorkerConfig
from notifier.events import InvoiceIssued
from notifier.handlers import mail_invoice
from notifier.mailer import Mailer


def main() -> None:
    config = read_settings(WorkerConfig)
    demo = Faults.from_environment(faults.SCENARIOS)
    database = config.open_database(store.SCHEMA)
    with Mailer(host=config.smtp_host, port=config.smtp_port, sender=config.mail_from) as mailer:
        run(
            "notifier",
            config,
            database,
            subscriptions=demo.on_handling(
                outside_transaction(InvoiceIssued, mail_invoice, mailer, record=store.note_sent)
            ),
            retain=[store.MAILS],
        )


if __name__ == "__main__":
    command(main, store.SCHEMA)
