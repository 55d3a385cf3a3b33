"""Settings of the web server: ``gunicorn -c python:orders.gunicorn_conf orders.wsgi:app``."""

from eventbus import read_settings

from orders.config import WebConfig

# One process has one span queue and one writer of the database; scale by replicas.
worker_class = "gthread"
workers = 1
threads = 16
# A connection that a client keeps open does not hold up a stop for longer than this.
graceful_timeout = 20
keepalive = 5
# The control socket would be a file in the home directory, which a container does not have.
control_socket_disable = True
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "eventbus.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
        # The application logs each order with its trace.
        "gunicorn.access": {"level": "WARNING", "handlers": [], "propagate": True},
    },
}


def on_starting(_server: object) -> None:
    """End here where a variable is missing: a worker that cannot start is started again for ever."""
    read_settings(WebConfig)
