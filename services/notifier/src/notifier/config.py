"""What this service reads from the environment."""

from socket import gethostname

from eventbus import WorkerSettings
from pydantic import Field


class WorkerConfig(WorkerSettings):
    """The variables of the worker."""

    instance_id: str = Field(
        default_factory=lambda: f"notifier-{gethostname()}",
        min_length=1,
        description="a name that no other living worker has, like notifier-1",
    )
    smtp_host: str = Field(min_length=1, description="the mail server, like 127.0.0.1")
    smtp_port: int = Field(ge=1, le=65535, description="its port, like 1025")
    mail_from: str = Field(pattern=r"^[!-~]+@[!-~]+$", description="the sender's address, like billing@shop.example")
