"""Faults on purpose, for demonstrations: a plug for services on eventbus, which does not know of it."""

from demo_faults.faults import Fault, Faults

__all__ = ["Fault", "Faults"]
