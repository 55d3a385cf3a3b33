"""What this service does wrong on purpose, in a demonstration."""

from eventbus import Fault

SCENARIOS = {"duplicate": Fault(copies=2)}
