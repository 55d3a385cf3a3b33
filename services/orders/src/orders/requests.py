"""What a caller may ask for."""

import hashlib
from decimal import Decimal
from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from eventbus import Money
from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _deliverable(address: str) -> str:
    try:
        parsed = validate_email(address, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise ValueError("not an e-mail address that can be delivered to") from None
    return parsed.ascii_email or parsed.normalized


EmailAddress = Annotated[
    str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_deliverable)
]


# Adding zero gives two places and makes "-0" a plain zero: one amount has one spelling.
UnitPrice = Annotated[
    Money,
    Field(ge=0, lt=1_000_000, json_schema_extra={"pattern": r"^[0-9]{1,6}(\.[0-9]{1,2})?$"}),
    AfterValidator(lambda price: price + Decimal("0.00")),
]


class _Strict(BaseModel):
    # A mistyped field would be lost without a word; strict keeps "2" and true from passing for a quantity.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Customer(_Strict):
    """Who orders."""

    email: EmailAddress


class Item(_Strict):
    """One line of an order."""

    sku: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    quantity: int = Field(ge=1, le=10_000)
    unit_price: UnitPrice


class PlaceOrder(_Strict):
    """An order as a caller sends it."""

    customer: Customer
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")
    items: list[Item] = Field(min_length=1, max_length=100)

    def fingerprint(self) -> str:
        """Return a digest that is equal for two requests that mean the same order, whatever their spelling."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
