"""The order form on the page of journeys: templates/order.html, with its scripts in static/."""

from journey import ORDER_JOURNEY
from journey.web import Look

# Below the page's own folder: nothing in it has spans (OTEL_PYTHON_EXCLUDED_URLS).
FORM_PATH = "/page/form"
LOOK = Look(
    title="One order, one trace",
    subtitle="An order crosses three services and two Kafka topics, and ends as an e-mail. All of it is one trace.",
    chain=ORDER_JOURNEY,
    done="The e-mail is sent.",
    form="order.html",
    scripts=[f"{FORM_PATH}/order.js"],
)
