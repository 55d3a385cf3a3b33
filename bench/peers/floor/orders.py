"""The floor: aiohttp in front, one producer, nothing else."""

import json
import os
import uuid
from collections.abc import AsyncIterator

from aiohttp import web
from aiokafka import AIOKafkaProducer

PRODUCER = web.AppKey("producer", AIOKafkaProducer)


async def producing(app: web.Application) -> AsyncIterator[None]:
    async with AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA"], acks="all", enable_idempotence=True) as app[
        PRODUCER
    ]:
        yield


async def accept(request: web.Request) -> web.Response:
    order = {"order_id": str(uuid.uuid4()), **await request.json()}
    await request.app[PRODUCER].send_and_wait("orders", json.dumps(order).encode(), key=order["order_id"].encode())
    return web.json_response(order, status=202)


async def ready(_: web.Request) -> web.Response:
    return web.Response(text="ready")


app = web.Application()
app.cleanup_ctx.append(producing)
app.router.add_post("/orders", accept)
app.router.add_get("/readyz", ready)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None, print=None)
