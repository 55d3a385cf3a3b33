"""The one error that a handler and the bus agree on."""


class Poison(Exception):
    """Say that a message can never be handled, however often it is tried.

    The worker sends it to the dead letters at once. The text goes into logs, spans and headers: it must not quote the
    message.
    """
