from stack.settings import REPOSITORY, Settings

CONFIG = REPOSITORY / "otel-collector" / "config.yaml"


def command(settings: Settings) -> list[str]:
    """Run the Collector that was built from otel-collector/sources."""
    return [str(settings.downloads / "collector" / "otelcol"), "--config", str(CONFIG)]


def environment(settings: Settings) -> dict[str, str]:
    """Fill in the variables of config.yaml."""
    return {
        "COLLECTOR_BIND": "127.0.0.1",
        "COLLECTOR_DATA": str(settings.data / "collector"),
        "ZIPKIN_SPANS_URL": f"{settings.zipkin_url}/api/v2/spans",
        "OTLP_GRPC_PORT": str(settings.otlp_grpc_port),
        "OTLP_HTTP_PORT": str(settings.otlp_http_port),
        "COLLECTOR_HEALTH_PORT": str(settings.collector_health_port),
        "COLLECTOR_METRICS_PORT": str(settings.collector_metrics_port),
        "PROMETHEUS_PORT": str(settings.prometheus_port),
    }
