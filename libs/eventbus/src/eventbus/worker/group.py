"""A consumer group, as one service has it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from eventbus.database.database import Database
from eventbus.settings import WorkerSettings
from eventbus.worker.membership import Membership
from eventbus.worker.subscription import Subscription


@dataclass(frozen=True)
class Group:
    """The name of a consumer group, what it does with which events, and what it works with."""

    name: str
    config: WorkerSettings
    database: Database
    subscriptions: Sequence[Subscription]
    membership: Membership = field(default_factory=Membership)
