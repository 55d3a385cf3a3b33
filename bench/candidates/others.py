"""The chain as others build it: nothing is kept safe, and it ends where the e-mail would be sent."""

from functools import partial

from journey import Row
from stack import Settings
from stack.parts import Part

from bench.candidates.candidate import Candidate, chain
from bench.candidates.installing import PEERS, folder_of, install_node, install_python
from bench.candidates.programs import web, worker


def _otel(settings: Settings) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{settings.otlp_http_port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        # As many spans as a run has may wait, and none longer than half a second.
        "OTEL_BSP_MAX_QUEUE_SIZE": "32768",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
        "OTEL_PYTHON_EXCLUDED_URLS": "readyz",
    }


def floor(settings: Settings) -> list[Part]:
    python = str(folder_of(settings.downloads, "stock") / "bin" / "python")
    return [
        web(settings, [python, str(PEERS / "floor" / "orders.py")], {}),
        floor_worker(settings, "billing"),
        floor_worker(settings, "notifier"),
    ]


def floor_worker(settings: Settings, name: str, *, traced: bool = False) -> Part:
    """Return a plain aiokafka loop."""
    programs = folder_of(settings.downloads, "stock") / "bin"
    run = [str(programs / "python"), str(PEERS / "floor" / "worker.py"), name]
    if not traced:
        return worker(settings, name, run, {})
    return worker(settings, name, [str(programs / "opentelemetry-instrument"), *run], _otel(settings))


def stock(settings: Settings, *, traced: bool) -> list[Part]:
    programs, here = folder_of(settings.downloads, "stock") / "bin", PEERS / "stock"
    run = [str(programs / "gunicorn"), "-c", str(here / "gunicorn_conf.py"), "--chdir", str(here)]
    run += ["-b", f"127.0.0.1:{settings.orders_port}", "orders:app"]
    instrument = [str(programs / "opentelemetry-instrument")] if traced else []
    workers = [floor_worker(settings, name, traced=traced) for name in ("billing", "notifier")]
    return [web(settings, [*instrument, *run], _otel(settings) if traced else {}), *workers]


def kafkajs(settings: Settings, *, per_request: bool = False) -> list[Part]:
    here, environment = PEERS / "kafkajs", _otel(settings)
    modules = folder_of(settings.downloads, "kafkajs") / "node_modules"
    environment |= {
        "NODE_ENV": "production",
        "NODE_PATH": str(modules),
        "NODE_OPTIONS": f"--require {modules}/@opentelemetry/auto-instrumentations-node/build/src/register.js",
        "OTEL_NODE_RESOURCE_DETECTORS": "env,host",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "60000",  # milliseconds here, seconds in Python
    }
    if per_request:
        environment["PER_REQUEST"] = "1"
    workers = [
        worker(settings, name, ["node", str(here / "worker.js"), name], environment) for name in ("billing", "notifier")
    ]
    return [web(settings, ["node", str(here / "orders.js")], environment), *workers]


def faststream(settings: Settings) -> list[Part]:
    programs, here = folder_of(settings.downloads, "faststream") / "bin", str(PEERS / "faststream")
    instrument, environment = str(programs / "opentelemetry-instrument"), _otel(settings)
    serve = [str(programs / "uvicorn"), "orders:app", "--app-dir", here, "--host", "127.0.0.1"]
    serve += ["--port", str(settings.orders_port), "--no-access-log", "--log-level", "warning"]
    run = [instrument, str(programs / "faststream"), "run", "--app-dir", here]
    workers = [worker(settings, name, [*run, f"{name}:app"], environment) for name in ("billing", "notifier")]
    return [web(settings, [instrument, *serve], environment), *workers]


SERVER = ("orders", "SERVER", "POST /orders")
KAFKAJS_CHAIN = chain(
    SERVER,
    ("orders", "PRODUCER", "send orders"),
    ("billing", "CONSUMER", "process orders"),
    ("billing", "PRODUCER", "send invoices"),
    ("notifier", "CONSUMER", "process invoices"),
)
FASTSTREAM_CHAIN = (
    Row(1, *SERVER, parent=None),
    Row(2, "orders", "PRODUCER", "orders create", parent=1),
    Row(3, "orders", "PRODUCER", "orders publish", parent=2),
    Row(4, "billing", "CONSUMER", "orders process", parent=2),
    Row(5, "billing", "PRODUCER", "invoices publish", parent=4),
    Row(6, "notifier", "CONSUMER", "invoices process", parent=2),
)
KAFKAJS = "express 5 and kafkajs with OpenTelemetry's auto-instrumentation"

FLOOR = Candidate("floor", "aiohttp and aiokafka, nothing else", floor, install=partial(install_python, peer="stock"))
OTHERS = (
    FLOOR,
    Candidate("kafkajs", KAFKAJS, kafkajs, [KAFKAJS_CHAIN], install=partial(install_node, peer="kafkajs")),
    Candidate(
        "faststream",
        "FastAPI and FastStream with its telemetry middleware; by nature notifier's span is not below billing's",
        faststream,
        [FASTSTREAM_CHAIN],
        install=partial(install_python, peer="faststream"),
    ),
    Candidate(
        "flask",
        "Flask, gunicorn and aiokafka with the stock instrumentation: by nature two traces for each order",
        partial(stock, traced=True),
        [
            chain(SERVER, ("orders", "PRODUCER", "orders send"), ("billing", "CONSUMER", "orders receive")),
            chain(("billing", "PRODUCER", "invoices send"), ("notifier", "CONSUMER", "invoices receive")),
        ],
        install=partial(install_python, peer="stock"),
    ),
)
TUTORIAL = Candidate(
    "kafkajs-tutorial",
    f"{KAFKAJS}, a producer connected for each request",
    partial(kafkajs, per_request=True),
    [KAFKAJS_CHAIN],
    install=partial(install_node, peer="kafkajs"),
)
