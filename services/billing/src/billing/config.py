"""What this service reads from the environment."""

from socket import gethostname

from eventbus import WorkerSettings
from pydantic import Field


class WorkerConfig(WorkerSettings):
    """The variables of the worker."""

    instance_id: str = Field(
        default_factory=lambda: f"billing-{gethostname()}",
        min_length=1,
        description="a name that no other living worker has, like billing-1",
    )
