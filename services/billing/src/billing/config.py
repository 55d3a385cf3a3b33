"""What this service reads from the environment."""

from pathlib import Path
from socket import gethostname

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerConfig(BaseSettings):
    """The variables of the worker."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database_url: str = Field(
        pattern=r"^sqlite:///.+", description="where the ledger is kept, like sqlite:////var/lib/billing/billing.db"
    )
    kafka_bootstrap_servers: str = Field(pattern=r"^[^:]+:\d+", description="brokers, like 127.0.0.1:9092")
    instance_id: str = Field(
        default_factory=lambda: f"billing-{gethostname()}",
        min_length=1,
        description="a name that no other living worker has, like billing-1",
    )
    status_file: Path = Field(description="the file that tells whether this worker is ready")
