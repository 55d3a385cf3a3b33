"""Flask and gunicorn with aiokafka: one producer on an asyncio thread of the web process."""

import asyncio
import json
import os
import threading
import uuid
from contextvars import Context

from aiokafka import AIOKafkaProducer
from flask import Flask, Response, jsonify, request

app = Flask(__name__)


class Publisher:
    """A producer for the threads of a web process."""

    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="kafka", daemon=True).start()
        # An empty context: the producer's own tasks must not inherit a request's span.
        Context().run(asyncio.run_coroutine_threadsafe, self._start(), self.loop).result(30)

    async def _start(self) -> None:
        self.producer = AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA"], acks="all", enable_idempotence=True)
        await self.producer.start()

    def publish(self, topic: str, key: bytes, value: bytes) -> None:
        sending = self.producer.send_and_wait(topic, value, key=key)
        asyncio.run_coroutine_threadsafe(sending, self.loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(self.producer.stop(), 5), self.loop).result(6)


publisher = Publisher()


@app.get("/readyz")
def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/orders")
def accept() -> tuple[Response, int]:
    order = {"order_id": str(uuid.uuid4()), **request.get_json()}
    publisher.publish("orders", order["order_id"].encode(), json.dumps(order).encode())
    return jsonify(order), 202
