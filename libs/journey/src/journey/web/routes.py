"""The page's routes: `/`, `/journeys/<trace_id>`, its files below `/page`, and its API.

The markup is templates/page.html, its scripts and style are the files in static/.
"""

import re
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Flask, Response, render_template, request

from journey.web.api import add_api
from journey.web.look import Look

# A trace id of 64 bits is what Zipkin shows if the upper half is zero.
_TRACE_ID: Final = re.compile(r"(?!0+$)([0-9a-f]{16}){1,2}")
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def pages(
    zipkin_url: str | None,
    look: Look = Look(),  # noqa: B008  it is frozen
    *,
    prefix: str = "",
    public_url: str | None = None,
    **form: Any,
) -> Blueprint:
    """Return the pages, to be registered with an application; all its answers get the headers that protect a browser.

    The server asks *zipkin_url*; links lead to *public_url*, where browsers reach Zipkin. Links within the page begin
    with *prefix*. The look's form gets the other arguments.
    """
    blueprint = Blueprint(
        "journey", __name__, static_folder="static", static_url_path="/page", template_folder="templates"
    )
    add_api(blueprint, zipkin_url, look)

    def answer(status: HTTPStatus = HTTPStatus.OK) -> Response:
        known = {"look": look, "prefix": prefix, "zipkin_url": public_url, "can_look": bool(zipkin_url)}
        html = render_template("page.html", **known, **form)
        answer = Response(html, status=status.value, content_type="text/html; charset=utf-8")
        answer.headers["Cache-Control"] = "no-cache"
        if status is HTTPStatus.OK:
            answer.add_etag()
            answer.make_conditional(request)
        return answer

    @blueprint.get("/")
    def page() -> Response:
        return answer()

    @blueprint.get("/journeys/<trace_id>")
    def journey(trace_id: str) -> Response:
        known_form = _TRACE_ID.fullmatch(trace_id.lower())
        return answer(HTTPStatus.OK if known_form else HTTPStatus.NOT_FOUND)

    @blueprint.after_app_request
    def protect(answer: Response) -> Response:
        answer.headers.update(HEADERS)
        return answer

    return blueprint


def create_app(zipkin_url: str, look: Look = Look()) -> Flask:  # noqa: B008  it is frozen
    """Return the page as an application of its own."""
    app = Flask("journey", static_folder=None)
    app.register_blueprint(pages(zipkin_url, look, public_url=zipkin_url))
    return app
