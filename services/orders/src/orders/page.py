"""The order form on the page of journeys: templates/order.html, with its scripts in static/."""

from importlib import resources
from pathlib import Path

from journey import read_chain
from journey.web import Look

# Below the page's own folder: nothing in it has spans (OTEL_PYTHON_EXCLUDED_URLS).
FORM_PATH = "/page/form"


def look() -> Look:
    """Return what the page shows besides journeys: whose they are, how they go, the form."""
    with resources.as_file(resources.files("shop_contracts") / "journey.toml") as file:
        chain = read_chain(Path(file))
    return Look(
        title="One order, one trace",
        subtitle="An order crosses three services and two Kafka topics, and ends as an e-mail. All of it is one trace.",
        chain=chain,
        done="The e-mail is sent.",
        form="order.html",
        scripts=[f"{FORM_PATH}/order.js"],
    )
