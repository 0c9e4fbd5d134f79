"""Made-up customers and agents. Names have accents, as real Spanish names do."""

from random import Random
from typing import Final

import msgspec

OWN_NUMBERS: Final = ("+34910000001", "+34910000002", "+34930000003")

_FIRST_NAMES: Final = (
    "Ana",
    "Begoña",
    "César",
    "Iñaki",
    "José Ángel",
    "Lucía",
    "María",
    "Núria",
    "Óscar",
    "Zoë",
)
_LAST_NAMES: Final = ("Álvarez", "Fernández", "García", "Íñiguez", "López", "Muñoz", "Peña", "Ruiz", "Yagüe")
_UNKNOWN_SHARE: Final = 0.1
"""The share of customers who have no contact in CloudTalk."""

_CREATED_DURING_CALL_SHARE: Final = 0.2
"""The share of customers whose contact is created in CloudTalk after the call has started."""


class Customer(msgspec.Struct, frozen=True):
    """The customer of one call. `contact_id` and `contact_name` are None without a contact.

    `created_during_call`: the contact is missing in the call's first event.
    """

    number: str
    contact_id: str | None
    contact_name: str | None
    created_during_call: bool


class Agent(msgspec.Struct, frozen=True):
    """A user of CloudTalk who makes and answers calls."""

    id: int
    first_name: str
    last_name: str
    email: str

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


AGENTS: Final = (
    Agent(493_933, "Marta", "Sanz", "marta.sanz@example.test"),
    Agent(493_934, "Iván", "Núñez", "ivan.nunez@example.test"),
    Agent(493_935, "Aitana", "Gil", "aitana.gil@example.test"),
    Agent(493_936, "Paul", "O'Hara", "paul.ohara@example.test"),
)


_NUMBERS: Final = 100_000_000


def choose_customer(random: Random, run: str, index: int, contact_prefix: str = "") -> Customer:
    """Make up the customer of the call number `index` of a run. `contact_prefix` is put before the four
    digits of the contact's id.

    Each call of a run has a number of its own: a later conversation with the same number would end the
    follow-up of a missed call.
    """
    first = Random(run).randrange(_NUMBERS)  # noqa: S311 - must be repeatable
    number = f"+346{(first + index) % _NUMBERS:08}"
    name = f"{random.choice(_FIRST_NAMES)} {random.choice(_LAST_NAMES)} {random.choice(_LAST_NAMES)}"
    contact_id, share = f"{contact_prefix}{random.randrange(10_000)}", random.random()
    if share < _UNKNOWN_SHARE:
        return Customer(number, None, None, created_during_call=False)
    created = share < _UNKNOWN_SHARE + _CREATED_DURING_CALL_SHARE
    return Customer(number, contact_id, name, created_during_call=created)
