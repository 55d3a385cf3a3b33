"""What a service says has happened."""

import re
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Event(BaseModel):
    """Something that has happened, as a frozen value.

    A subclass declares where it travels (*topic*), its versioned name (*type*, for example ``order.placed.v1``) and the
    field whose value keys the record: events with one key keep their order; those without one, whose field is None, are
    spread over the partitions. A reader declares only the fields that it reads; others are ignored.
    """

    # Validation errors travel in logs and dead letters: they must not quote the message.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    topic: ClassVar[str]
    type: ClassVar[str]
    key_field: ClassVar[str]

    @property
    def key(self) -> str | None:
        """The value that decides the record's partition; None if the event has none, which is not the key "None"."""
        value = getattr(self, self.key_field)
        return None if value is None else str(value)


_AMOUNT = r"^-?[0-9]{1,14}(\.[0-9]{1,2})?$"


def _decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and re.fullmatch(_AMOUNT, value, re.ASCII):
        return Decimal(value)
    raise ValueError('write money as a decimal in a string, like "19.90"')


Money = Annotated[
    Decimal,
    BeforeValidator(_decimal, json_schema_input_type=Annotated[str, Field(pattern=_AMOUNT, examples=["19.90"])]),
    Field(max_digits=16, decimal_places=2),
]
"""An amount of money: a decimal of at most two places, on the wire a string, never a float."""
