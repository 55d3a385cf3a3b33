"""FastAPI in front, as FastStream's documentation shows it for a program that only publishes."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from faststream.kafka import KafkaBroker
from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware

from contracts import Order, PlaceOrder

broker = KafkaBroker(
    os.environ["KAFKA"], acks="all", enable_idempotence=True, middlewares=[KafkaTelemetryMiddleware()], logger=None
)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    await broker.start()
    yield
    await broker.stop()


app = FastAPI(lifespan=running)


@app.get("/readyz")
async def ready() -> str:
    return "ready"


@app.post("/orders", status_code=202)
async def accept(wanted: PlaceOrder) -> Order:
    order = Order(order_id=str(uuid.uuid4()), **wanted.model_dump())
    await broker.publish(order, "orders", key=order.order_id.encode())
    return order
