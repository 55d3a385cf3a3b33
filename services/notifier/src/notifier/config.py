"""What this service reads from the environment."""

from pathlib import Path
from socket import gethostname

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerConfig(BaseSettings):
    """The variables of the worker."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database_url: str = Field(
        pattern=r"^sqlite:///.+", description="where sent mail is noted, like sqlite:////var/lib/notifier/notifier.db"
    )
    kafka_bootstrap_servers: str = Field(pattern=r"^[^:]+:\d+", description="brokers, like 127.0.0.1:9092")
    instance_id: str = Field(
        default_factory=lambda: f"notifier-{gethostname()}",
        min_length=1,
        description="a name that no other living worker has, like notifier-1",
    )
    status_file: Path = Field(description="the file that tells whether this worker is ready")
    smtp_host: str = Field(min_length=1, description="the mail server, like 127.0.0.1")
    smtp_port: int = Field(ge=1, le=65535, description="its port, like 1025")
    mail_from: str = Field(pattern=r"^[!-~]+@[!-~]+$", description="the sender's address, like billing@shop.example")
