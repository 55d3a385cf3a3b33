"""The system under test, seen through its public interfaces."""

import pytest
from stack import Stack

from tests.e2e.mails import Mailbox
from tests.e2e.shop import Shop


@pytest.fixture(scope="session")
def mailbox(stack: Stack) -> Mailbox:
    return Mailbox(stack.settings.mail_folder)


@pytest.fixture
def shop(stack: Stack, mailbox: Mailbox) -> Shop:
    """The whole system, up and healthy, whatever the test before did to it."""
    stack.up()
    return Shop(orders_url=stack.settings.orders_url, zipkin_url=stack.settings.zipkin_url, mailbox=mailbox)
