"""What this service does wrong on purpose, in a demonstration."""

from demo_faults import Fault
from eventbus import Transient

# As if the mail server did not take the e-mail.
SCENARIOS = {"mail-down": Fault(Transient)}
