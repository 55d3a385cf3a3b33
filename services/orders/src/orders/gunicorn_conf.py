"""Settings of the web server: ``gunicorn -c python:orders.gunicorn_conf orders.wsgi:app``."""

import os
import sys
from typing import Any

from eventbus import read_settings
from eventbus.process.garbage import calm_garbage_collection
from gunicorn.glogging import Logger

from orders.config import WebConfig

# One process has one span queue and one writer of the database; scale by replicas.
worker_class = "orders.gunicorn_worker.Worker"
workers = 1
threads = 16
# Each can hold 96 KB of an unfinished request, and the parser as much again: 50 MB of a container's 192 MB.
worker_connections = 250
# Nobody's request takes longer, its client's share of it included.
graceful_timeout = 20
keepalive = 5
# The control socket would be a file in the home directory, which a container does not have.
control_socket_disable = True
# What a client calls SCRIPT_NAME or PATH_INFO is not believed, not even on this machine.
forwarder_headers = ""


class NoAccessLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """The application logs each order with its trace. gunicorn writes a line for each request, to throw it away."""

    access_log_enabled = False


logger_class = NoAccessLog
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "eventbus.process.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
    },
}


# What the worker would silently do without, and the values with which it is not asked for.
NOT_FOR_THE_WORKER = {
    "certfile": (None,),
    "keyfile": (None,),
    "proxy_protocol": ("off", False),
    "protocol": ("http",),
    "http2_cleartext": ("off",),
}


def on_starting(server: Any) -> None:
    """End here if a variable is missing or a setting would have no effect: a worker is started again forever."""
    read_settings(WebConfig)
    for name, unset in NOT_FOR_THE_WORKER.items():
        if getattr(server.cfg, name) not in unset:
            advice = "leave it out, and let a reverse proxy in front speak plain HTTP/1.1 to it"
            print(f"gunicorn's {name} is not for this service: {advice}", file=sys.stderr)  # noqa: T201 as read_settings
            raise SystemExit(2)


def post_worker_init(_worker: object) -> None:
    """Leave SCRIPT_NAME to the application: gunicorn answers 500 to whoever asks without it, like a health check."""
    os.environ.pop("SCRIPT_NAME", None)
    calm_garbage_collection()
