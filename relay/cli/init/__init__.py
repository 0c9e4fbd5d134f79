"""`relay init`: from nothing to a relay that has delivered a test call.

command      the options, and the order of the steps
crms         the CRMs to choose from, and what each asks for
answers      the answers, from options, the environment or a person
system       what the machine knows: language, time zone, country, a free port
files        the settings file and the secret files
first_steps  check, set up the CRM, send the test call
example      the request with which a person tries the webhook
texts        every text in both languages
"""

from relay.cli.init.command import command

__all__ = ["command"]
