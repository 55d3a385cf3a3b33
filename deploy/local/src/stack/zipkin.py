from stack.fetch.tools import java
from stack.settings import Settings

HEAP_MB = 768
# What the server itself takes, and the requests that it reads.
OWN_MB = 64
# Of heap for the largest span that a caller of orders can bring about: 512 characters of tracestate on the span and
# again on its link, 256 in each header that becomes an attribute (deploy/otel.env). An ordinary one takes 5 KB.
SPAN_BYTES = 8 * 1024


def max_spans(heap_mb: int) -> int:
    """Return beyond which number Zipkin has to forget the oldest trace: it counts spans, and not their bytes."""
    return (heap_mb - OWN_MB) * 1024 * 1024 // SPAN_BYTES


MAX_SPANS = max_spans(HEAP_MB)


def command(settings: Settings) -> list[str]:
    """Run the unpacked server, listening on loopback only: by default it listens everywhere."""
    folder = settings.downloads / "zipkin"
    address = {"ip": "127.0.0.1", "port": settings.zipkin_port, "protocols[0]": "http"}
    return [
        str(java(settings.downloads)),
        f"-Xmx{HEAP_MB}m",
        "-XX:+UseSerialGC",
        # Out of memory it answers 500 for good, and calls itself healthy.
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        f"{folder / 'app.jar'}:{folder / 'lib'}/*",
        "zipkin.server.ZipkinServer",
        *(f"--armeria.ports[0].{key}={value}" for key, value in address.items()),
    ]


def environment(settings: Settings) -> dict[str, str]:
    """Keep traces in memory, as many as the heap holds."""
    return {"STORAGE_TYPE": "mem", "MEM_MAX_SPANS": str(MAX_SPANS), "SELF_TRACING_ENABLED": "false"}
