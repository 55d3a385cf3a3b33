"""What the server gives to a browser: the page, its files and headers. What the page does is in tests/browser."""

import re
from html.parser import HTMLParser
from pathlib import Path

import journey.web
import pytest
from flask import Flask
from flask.testing import FlaskClient
from journey.web import Look, create_app, pages

TRACE = "0af7651916cd43dd8448eb211c80319c"
ZIPKIN = "http://zipkin.example:9411"
STATIC = Path(journey.web.__file__).parent / "static"


class Markup(HTMLParser):
    """The elements of a page, as (name, attributes)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def attributes(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture
def visitor() -> FlaskClient:
    return create_app(ZIPKIN).test_client()


@pytest.mark.parametrize("path", ["/", f"/journeys/{TRACE}", f"/journeys/{TRACE.upper()}", f"/journeys/{TRACE[16:]}"])
def test_the_page_is_served(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path)

    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert Markup(answer.text).attributes("body") == [
        {"data-prefix": "", "data-zipkin-url": ZIPKIN, "data-can-look": "yes"}
    ]


@pytest.mark.parametrize(
    "name", ["0", "0" * 16, "0" * 32, TRACE[1:], TRACE + "0", "g" + TRACE[1:], TRACE + "%0A", "%3Cscript%3E"]
)
def test_what_is_no_trace_id_is_not_found_and_the_page_says_so(visitor: FlaskClient, name: str) -> None:
    answer = visitor.get(f"/journeys/{name}")

    assert (answer.status_code, answer.content_type) == (404, "text/html; charset=utf-8")
    assert answer.text == visitor.get("/").text


def test_every_answer_is_protected(visitor: FlaskClient) -> None:
    for path in ("/", f"/journeys/{TRACE}", "/page/main.js", "/page/style.css", "/page/none", "/none"):
        headers = visitor.get(path, buffered=True).headers

        assert headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ), path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_the_address_of_zipkin_cannot_become_markup() -> None:
    hostile = 'http://z/"><script>alert(1)</script>'
    html = create_app(hostile).test_client().get("/").text

    [body] = Markup(html).attributes("body")
    assert body["data-zipkin-url"] == hostile
    assert len(Markup(html).attributes("script")) == 1


def test_behind_a_proxy_every_link_begins_with_its_prefix() -> None:
    app = Flask("host", static_folder=None)
    app.register_blueprint(pages(ZIPKIN, prefix="/shop"))
    page = Markup(app.test_client().get("/").text)

    links = [each.get("href") or each.get("src") or each.get("action") for _, each in page.elements]
    assert [link for link in links if link and link.startswith("/") and not link.startswith("/shop/")] == []
    assert page.attributes("body")[0]["data-prefix"] == "/shop"


def test_a_host_adds_its_form_and_scripts(tmp_path: Path) -> None:
    (tmp_path / "form.html").write_text("<form id=own>{{ choice }}</form>")
    app = Flask("host", static_folder=None, template_folder=str(tmp_path))
    app.register_blueprint(pages(ZIPKIN, Look(form="form.html", scripts=["/own.js"]), choice="<b>"))
    html = app.test_client().get("/").text

    assert "<form id=own>&lt;b&gt;</form>" in html
    assert [each["src"] for each in Markup(html).attributes("script")] == ["/page/main.js", "/own.js"]


def test_nothing_in_the_page_is_inline_or_from_elsewhere(visitor: FlaskClient) -> None:
    page = Markup(visitor.get("/").text)

    for name, attributes in page.elements:
        assert not [each for each in attributes if each == "style" or each.startswith("on")], name
        source = attributes.get("src") or attributes.get("href")
        assert source is None or source.startswith(("/", "#")), source
    assert [each["src"] for each in page.attributes("script")] == ["/page/main.js"]
    assert not page.attributes("style")


def test_every_file_of_the_page_is_there_and_every_import_is_one_of_them(visitor: FlaskClient) -> None:
    page = Markup(visitor.get("/").text)
    linked = {each["href"] for each in page.attributes("link")} | {each["src"] for each in page.attributes("script")}
    imported = {f"/page/{name}" for file in STATIC.glob("*.js") for name in re.findall(r'"\./(.+)"', file.read_text())}

    assert linked | imported == {f"/page/{file.name}" for file in STATIC.iterdir()}
    for path in sorted(filter(None, linked | imported)):
        answer = visitor.get(path, buffered=True)
        expected = {"js": "javascript", "css": "text/css", "svg": "image/svg+xml"}[path.rpartition(".")[2]]
        assert (answer.status_code, expected in answer.content_type) == (200, True), path


def test_the_script_never_makes_markup_of_text() -> None:
    for file in STATIC.glob("*.js"):
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser", file.read_text()
        )
        assert not found, file.name


@pytest.mark.parametrize("path", ["/", f"/journeys/{TRACE}", "/page/main.js"])
def test_a_browser_asks_again_and_is_told_that_nothing_changed(visitor: FlaskClient, path: str) -> None:
    first = visitor.get(path, buffered=True)
    again = visitor.get(path, buffered=True, headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["/", f"/journeys/{TRACE}", "/page/main.js"])
def test_head_is_get_without_a_body(visitor: FlaskClient, path: str) -> None:
    got, head = visitor.get(path, buffered=True), visitor.head(path, buffered=True)

    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.data))


def test_files_beside_those_of_the_page_are_not_served(visitor: FlaskClient) -> None:
    for path in ("/page/../api.py", "/page/..%2fapi.py", "/page/", "/templates/page.html", "/static/main.js"):
        assert visitor.get(path).status_code == 404, path
