from stack.settings import Settings
from stack.toolchain import java

HEAP_MB = 768
# A span takes about 5 KB of heap; beyond this number Zipkin forgets the oldest trace.
MAX_SPANS = HEAP_MB * 1024 * 7 // 10 // 5


def command(settings: Settings) -> list[str]:
    """Run the unpacked server, listening on loopback only: by default it listens everywhere."""
    folder = settings.downloads / "zipkin"
    address = {"ip": "127.0.0.1", "port": settings.zipkin_port, "protocols[0]": "http"}
    return [
        str(java(settings.downloads)),
        f"-Xmx{HEAP_MB}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        f"{folder / 'app.jar'}:{folder / 'lib'}/*",
        "zipkin.server.ZipkinServer",
        *(f"--armeria.ports[0].{key}={value}" for key, value in address.items()),
    ]


def environment(settings: Settings) -> dict[str, str]:
    """Keep traces in memory, as many as the heap holds."""
    return {"STORAGE_TYPE": "mem", "MEM_MAX_SPANS": str(MAX_SPANS), "SELF_TRACING_ENABLED": "false"}
