"""The page on which people place an order and watch its journey.

The markup is templates/page.html, its script and style are the files in static/.
"""

import re
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Flask, Response, request

STATIC_PATH = "/page"
# A trace id of 64 bits is what Zipkin shows where the upper half is zero.
_TRACE_ID = re.compile(r"(?!0+$)([0-9a-f]{16}){1,2}")


def add_page(app: Flask, *, prefix: str, zipkin_url: str | None, demo_faults: bool) -> None:
    """Serve the page at ``/`` and, for one journey, at ``/journeys/<trace_id>``; give every answer safe headers.

    Its links begin with *prefix*. The browser itself asks *zipkin_url* for spans; the fault scenarios are offered with
    *demo_faults* only.
    """
    html = app.jinja_env.get_template("page.html").render(prefix=prefix, zipkin_url=zipkin_url, demo_faults=demo_faults)
    headers = _headers(zipkin_url)

    @app.get("/")
    def page() -> Response:
        return _answer(html)

    @app.get("/journeys/<trace_id>")
    def journey(trace_id: str) -> Response:
        known_form = _TRACE_ID.fullmatch(trace_id.lower())
        return _answer(html, HTTPStatus.OK if known_form else HTTPStatus.NOT_FOUND)

    @app.after_request
    def protect(answer: Response) -> Response:
        answer.headers.update(headers)
        return answer


def _answer(html: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    answer = Response(html, status=status.value, content_type="text/html; charset=utf-8")
    answer.headers["Cache-Control"] = "no-cache"
    if status is HTTPStatus.OK:
        answer.add_etag()
        answer.make_conditional(request)
    return answer


def _headers(zipkin_url: str | None) -> dict[str, str]:
    zipkin = urlsplit(zipkin_url or "")
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {zipkin.scheme}://{zipkin.netloc}" if zipkin_url else "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
