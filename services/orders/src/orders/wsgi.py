"""What gunicorn serves: ``orders.wsgi:app``. Loaded after the fork, so that no connection is shared."""

from eventbus import read_settings

from orders import store
from orders.app import create_app
from orders.config import WebConfig

_config = read_settings(WebConfig)

app = create_app(
    _config.open_database(store.SCHEMA),
    prefix=_config.script_name,
    zipkin_url=_config.zipkin_url or _config.zipkin_public_url,
    public_zipkin_url=_config.zipkin_public_url,
    demo_faults=_config.demo_faults,
    outbox_limit=_config.outbox_limit(),
)
