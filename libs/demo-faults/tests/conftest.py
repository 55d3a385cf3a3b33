from collections.abc import Iterator

import pytest
from eventbus import Database

from libs.eventbus.tests.support import Recorded, metadata, prepare


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    prepare(database, metadata)
    yield database
    database.close()


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()
