"""What this service does wrong on purpose, in a demonstration."""

from demo_faults import Fault

SCENARIOS = {"duplicate": Fault(copies=2)}
