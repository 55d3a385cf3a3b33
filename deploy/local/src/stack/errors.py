class StackError(Exception):
    """Something a person has to know: the message says which part, why, and what to do or where to look."""


class PartFailed(StackError):
    """A part of the system did not start."""

    def __init__(self, part: str, why: str) -> None:
        super().__init__(f"{part} {why}")
        self.part = part
