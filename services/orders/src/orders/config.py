"""What this service reads from the environment."""

from socket import gethostname

from eventbus import OutboxSettings, WorkerSettings
from pydantic import Field

from orders.store import KEYS


class WebConfig(OutboxSettings):
    """The variables of the web process."""

    zipkin_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/[A-Za-z0-9._~-]+)*$",
        description="where this process reaches Zipkin, like http://zipkin:9411; else ZIPKIN_PUBLIC_URL",
    )
    zipkin_public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*$",
        description="where browsers reach Zipkin, like http://127.0.0.1:9411 (no slash at the end)",
    )
    script_name: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="the path under which a proxy shows the service, like /shop (no slash at the end)",
    )
    demo_faults: bool = Field(default=False, description="1 lets an order carry a fault scenario (for demonstrations)")


class WorkerConfig(WorkerSettings):
    """The variables of the worker, which relays the outbox."""

    instance_id: str = Field(
        default_factory=lambda: f"orders-{gethostname()}",
        min_length=1,
        description="a name that no other living worker has, like orders-1",
    )
    keep_orders_days: int = Field(
        default=400,
        ge=KEYS.keep.days,
        description=f"days for which an order can be looked up, like 400; at least {KEYS.keep.days}",
    )
