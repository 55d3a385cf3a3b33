"""What the three programs exchange."""

from pydantic import BaseModel


class Customer(BaseModel):
    email: str


class Item(BaseModel):
    sku: str
    quantity: int
    unit_price: str


class PlaceOrder(BaseModel):
    customer: Customer
    currency: str
    items: list[Item]


class Order(PlaceOrder):
    order_id: str


class Invoice(BaseModel):
    order_id: str
    customer: Customer
    total: str
