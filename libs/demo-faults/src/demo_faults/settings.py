"""The one variable."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DemoSettings(BaseSettings):
    """Whether faults on purpose are on. All services read it alike."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    demo_faults: bool = Field(default=False, description="1 lets an order carry a fault scenario (for demonstrations)")
