"""The attributes of OpenTelemetry's semantic conventions, of today and in development."""

from importlib import import_module
from pkgutil import iter_modules

PACKAGES = ("opentelemetry.semconv.attributes", "opentelemetry.semconv._incubating.attributes")


def names() -> set[str]:
    """Return the names of all attributes."""
    modules = [
        import_module(f"{package}.{each.name}")
        for package in PACKAGES
        for each in iter_modules(import_module(package).__path__)
    ]
    return {value for module in modules for value in vars(module).values() if isinstance(value, str)}
