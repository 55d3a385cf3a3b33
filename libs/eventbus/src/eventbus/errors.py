"""The errors that a handler and the bus agree on. Their texts travel in logs and headers: never quote a message."""


class Poison(Exception):
    """Say that a message can never be handled, however often it is tried.

    The worker sends it to the dead letters at once.
    """


class Transient(Exception):
    """Say that a message cannot be handled now, and may be later.

    The worker tries it again from the retry topic, a bounded number of times; those behind it do not wait.
    """


class Unavailable(Exception):
    """Say that no message can be handled now: something that the service needs is away.

    The worker tries the same message again for ever, and is not ready meanwhile.
    """
