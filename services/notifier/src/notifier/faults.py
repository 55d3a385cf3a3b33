"""What this service does wrong on purpose, in a demonstration."""

from eventbus import Fault, Transient

# As if the mail server did not take the e-mail.
SCENARIOS = {"mail-down": Fault(Transient)}
