"""What this service does wrong on purpose, in a demonstration."""

from demo_faults import Fault
from eventbus import Poison, Transient

SCENARIOS = {
    "billing-fails-twice": Fault(Transient, tries=2),
    "billing-poison": Fault(Poison),
    "slow-billing": Fault(delay_s=3),
}
