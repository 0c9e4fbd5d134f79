"""Texts of the dead letters."""

from typing import Final

import msgspec


class DeadLetterTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the dead letters."""

    lead: str
    latest: str
    words: str
    no_words: str
    example: str
    replay_all: str
    replay_question: str
    replay: str
    drop_all: str
    drop_question: str
    drop: str
    one_by_one: str
    back: str
    shown: str
    replayed: str
    dropped: str
    none: str
    none_why: str


ENGLISH: Final = DeadLetterTexts(
    lead="Calls that a CRM refused for good, grouped by its answer. Correct the cause first, then send them again. "
    "Without a person the relay sends one again only if the call changes.",
    latest="Last:",
    words="What the CRM answered",
    no_words="Nothing",
    example="Example",
    replay_all="Send all {number} again",
    replay_question="Has the cause been corrected? Otherwise the CRM refuses the calls again.",
    replay="Send again",
    drop_all="Give up all {number}",
    drop_question="What is given up is not sent, unless the call changes. The calls stay in the relay.",
    drop="Give up",
    one_by_one="Show them",
    back="All kinds",
    shown="{shown} of {number}, the latest first",
    replayed="Sent again: {number}. A call that the CRM refuses once more comes back here.",
    dropped="Given up: {number}",
    none="Nothing failed for good",
    none_why="Every call reached its CRM, or is still being sent.",
)
SPANISH: Final = DeadLetterTexts(
    lead="Llamadas que un CRM rechazó definitivamente, agrupadas por su respuesta. Corrija primero la causa y después "
    "reenvíelas. Sin una persona, el relay solo reenvía una si la llamada cambia.",
    latest="Última:",
    words="Lo que respondió el CRM",
    no_words="Nada",
    example="Ejemplo",
    replay_all="Reenviar las {number}",
    replay_question="¿Se ha corregido la causa? Si no, el CRM volverá a rechazar las llamadas.",
    replay="Reenviar",
    drop_all="Descartar las {number}",
    drop_question="Lo descartado no se envía, salvo que la llamada cambie. Las llamadas se conservan en el relay.",
    drop="Descartar",
    one_by_one="Verlas",
    back="Todos los tipos",
    shown="{shown} de {number}, primero las últimas",
    replayed="Reenviadas: {number}. Una llamada que el CRM rechace otra vez vuelve aquí.",
    dropped="Descartadas: {number}",
    none="Ninguna falló definitivamente",
    none_why="Todas las llamadas llegaron a su CRM o aún se están enviando.",
)
