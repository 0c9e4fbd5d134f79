"""Who calls and who is called: made up, with the accents that real ones have."""

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
_STRANGERS: Final = 0.1
"""The share of customers who are nobody's contact."""

_NEW: Final = 0.2
"""The share of customers whom CloudTalk knows only after the call has begun."""


class Customer(msgspec.Struct, frozen=True):
    """Who is at the other end. CloudTalk knows a new contact only after the call has begun
    (`late`), and some never.
    """

    number: str
    contact_id: str | None
    contact_name: str | None
    late: bool


class Agent(msgspec.Struct, frozen=True):
    """Who takes calls in the company."""

    id: int
    first_name: str
    last_name: str
    email: str

    @property
    def name(self) -> str:
        """As the record shows it."""
        return f"{self.first_name} {self.last_name}"


AGENTS: Final = (
    Agent(493_933, "Marta", "Sanz", "marta.sanz@example.test"),
    Agent(493_934, "Iván", "Núñez", "ivan.nunez@example.test"),
    Agent(493_935, "Aitana", "Gil", "aitana.gil@example.test"),
    Agent(493_936, "Paul", "O'Hara", "paul.ohara@example.test"),
)


def customer(random: Random, contact_prefix: str = "") -> Customer:
    """Somebody. `contact_prefix` makes of CloudTalk's number for a contact an id of another kind."""
    number = f"+346000{random.randrange(100_000):05}"
    name = f"{random.choice(_FIRST_NAMES)} {random.choice(_LAST_NAMES)} {random.choice(_LAST_NAMES)}"
    contact_id, acquaintance = f"{contact_prefix}{random.randrange(10_000)}", random.random()
    if acquaintance < _STRANGERS:
        return Customer(number, None, None, late=False)
    return Customer(number, contact_id, name, late=acquaintance < _STRANGERS + _NEW)
