"""OpenTelemetry instrumentation for smtplib: one CLIENT span `send email` for each e-mail.

No span holds an address of a person or a part of a message. That is why an error is recorded by its type and
SMTP code only: the texts of smtplib's exceptions quote addresses, and so can the code lines in a stack trace.

Whatever tracer and span processors do, the e-mail is sent once, and its error is smtplib's: the log says what could not
be recorded.
"""

import logging
import smtplib
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version
from typing import Any

from opentelemetry import context, trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, unwrap
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.exception_attributes import EXCEPTION_TYPE
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_NAME
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from wrapt import wrap_function_wrapper

from smtplib_otel.own_attributes import REFUSED_RECIPIENTS, STATUS_CODE

__all__ = ["SMTPInstrumentor"]

_log = logging.getLogger(__name__)

_SENDING = context.create_key("smtplib-otel-sending")
_SERVER = "_smtplib_otel_server"
_WRAPPED = (
    (smtplib.SMTP, "connect"),
    (smtplib.LMTP, "connect"),  # it does not call SMTP's for a Unix socket
    (smtplib.SMTP, "send_message"),
    (smtplib.SMTP, "sendmail"),
)


class SMTPInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Put a span around `send_message` and `sendmail` of smtplib's SMTP, SMTP_SSL and LMTP.

    The span's parent is the current span. Connecting, logging in and quitting make no span. `server.address`
    and `server.port` are those given to the connection; one older than the instrumentation has neither.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: smtplib is in the standard library."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        tracer = trace.get_tracer(__name__, version("smtplib-otel"), kwargs.get("tracer_provider"))
        send = _spanned(tracer)
        for owner, method in _WRAPPED:
            wrap_function_wrapper(owner, method, _connect if method == "connect" else send)

    def _uninstrument(self, **kwargs: Any) -> None:
        for owner, method in _WRAPPED:
            unwrap(owner, method)


def _connect(
    connect: Callable[..., Any], connection: smtplib.SMTP, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    reply = connect(*args, **kwargs)
    try:
        setattr(connection, _SERVER, _server(connection.default_port, *args, **kwargs))
    except Exception:  # a socket takes ports by name, hosts as bytes, None for this host
        _log.debug("the server of a connection is not known", exc_info=True)
    return reply


def _server(
    default_port: int, host: str = "localhost", port: int | str = 0, *_: Any, **__: Any
) -> dict[str, str | int]:
    if host.startswith("/"):
        return {SERVER_ADDRESS: host}
    if not port and host.count(":") == 1:  # as smtplib reads "host:port"
        host, port = host.split(":")
    return {SERVER_ADDRESS: host, SERVER_PORT: int(port) or default_port}


def _spanned(tracer: Tracer) -> Callable[..., Any]:
    def send(
        wrapped: Callable[..., Any],
        connection: smtplib.SMTP,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        # send_message calls sendmail: the outer one has the span.
        if not is_instrumentation_enabled() or context.get_value(_SENDING) is connection:
            return wrapped(*args, **kwargs)
        try:
            span = _start(tracer, connection)
        except Exception:  # a tracer may be anyone's
            _log.exception("an e-mail is sent without its span")
            return wrapped(*args, **kwargs)
        token = context.attach(context.set_value(_SENDING, connection, trace.set_span_in_context(span)))
        refused, failure = None, None
        try:
            refused = wrapped(*args, **kwargs)
        except BaseException as error:
            failure = error
            raise
        finally:
            context.detach(token)
            _finish(span, refused, failure)
        return refused

    return send


def _start(tracer: Tracer, connection: smtplib.SMTP) -> Span:
    attributes = {
        "service.peer.name": "smtp",
        NETWORK_PROTOCOL_NAME: "lmtp" if isinstance(connection, smtplib.LMTP) else "smtp",
        **getattr(connection, _SERVER, {}),
    }
    return tracer.start_span("send email", kind=SpanKind.CLIENT, attributes=attributes)


def _finish(span: Span, refused: Any, failure: BaseException | None) -> None:
    try:
        try:
            if failure is not None:
                _record(span, failure)
            elif isinstance(refused, dict) and refused:
                span.set_attribute(REFUSED_RECIPIENTS, len(refused))
        finally:
            span.end()
    except Exception:  # as above; raising would have the e-mail sent again
        _log.exception("the span of an e-mail is not fully recorded")


def _record(span: Span, error: BaseException) -> None:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    span.set_status(StatusCode.ERROR)
    span.set_attribute(ERROR_TYPE, name)
    span.add_event("exception", {EXCEPTION_TYPE: name})
    if isinstance(error, smtplib.SMTPResponseException):
        span.set_attribute(STATUS_CODE, error.smtp_code)
    elif isinstance(error, smtplib.SMTPRecipientsRefused):
        span.set_attribute(REFUSED_RECIPIENTS, len(error.recipients))
        codes = {code for code, _ in error.recipients.values()}
        if len(codes) == 1:
            span.set_attribute(STATUS_CODE, codes.pop())
