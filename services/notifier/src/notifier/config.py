"""What this service reads from the environment."""

from email.errors import MessageError
from email.headerregistry import Address
from socket import gethostname

from eventbus import WorkerSettings
from pydantic import Field, field_validator


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

    @field_validator("mail_from")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        try:
            return Address(addr_spec=value).addr_spec
        except (MessageError, ValueError, IndexError):
            raise ValueError("no e-mail address") from None
