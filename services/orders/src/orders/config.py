"""What this service reads from the environment."""

from pathlib import Path
from socket import gethostname

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WebConfig(BaseSettings):
    """The variables of the web process."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database_url: str = Field(
        pattern=r"^sqlite:///.+", description="where orders are kept, like sqlite:////var/lib/orders/orders.db"
    )
    trace_url: str | None = Field(
        default=None,
        pattern=r"\{trace_id\}",
        description="where people see a trace, like http://127.0.0.1:9411/zipkin/traces/{trace_id}",
    )


class WorkerConfig(BaseSettings):
    """The variables of the worker, which relays the outbox."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database_url: str = Field(pattern=r"^sqlite:///.+", description="the same database as the web process has")
    kafka_bootstrap_servers: str = Field(pattern=r"^[^:]+:\d+", description="brokers, like 127.0.0.1:9092")
    instance_id: str = Field(
        default_factory=lambda: f"orders-{gethostname()}",
        min_length=1,
        description="a name that no other living worker has, like orders-1",
    )
    status_file: Path = Field(description="the file that tells whether this worker is ready")
