"""Texts of the audit."""

from typing import Final

import msgspec


class AuditTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the audit."""

    lead: str
    good: str
    bad: str
    calls_between: str
    side: str
    calls: str
    found: str
    findings: str
    call: str
    where: str
    ledger: str
    action: str
    shown: str
    nothing: str
    newest: str
    by_night: str
    by_hand: str
    look: str
    none: str
    none_why: str
    off: str
    attention: str


ENGLISH: Final = AuditTexts(
    lead="Every night CloudTalk's history, the relay and each CRM are compared, call by call. What was lost is imported "
    "or written again. What people changed in a CRM is listed and stays.",
    good="Complete and right",
    bad="Something to look at",
    calls_between="Calls from {since} to {until}",
    side="Side",
    calls="Calls",
    found="Of these",
    findings="Calls to look at, and what was repaired",
    call="Call",
    where="Where",
    ledger="relay",
    action="What is done",
    shown="{shown} of {number}",
    nothing="Nothing was missing, doubled or different.",
    newest="The last audits",
    by_night="every night",
    by_hand="by hand",
    look="Show",
    none="No audit yet",
    none_why="The first one is in the next night, at {at}. `relay audit` makes one at once.",
    off="The settings switch the nightly audit off. `relay audit` makes one at once.",
    attention="The audit found something to look at: {summary}",
)
SPANISH: Final = AuditTexts(
    lead="Cada noche se comparan el historial de CloudTalk, el relay y cada CRM, llamada por llamada. Lo que se había "
    "perdido se importa o se vuelve a escribir. Lo que las personas cambiaron en un CRM se indica y no se toca.",
    good="Completo y correcto",
    bad="Hay algo por revisar",
    calls_between="Llamadas de {since} a {until}",
    side="Lado",
    calls="Llamadas",
    found="De ellas",
    findings="Llamadas por revisar y lo que se reparó",
    call="Llamada",
    where="Dónde",
    ledger="el relay",
    action="Qué se hace",
    shown="{shown} de {number}",
    nothing="Nada faltaba, sobraba ni era distinto.",
    newest="Las últimas auditorías",
    by_night="cada noche",
    by_hand="a mano",
    look="Mostrar",
    none="Aún no hay ninguna auditoría",
    none_why="La primera será la próxima noche, a las {at}. `relay audit` hace una enseguida.",
    off="Los ajustes desactivan la auditoría nocturna. `relay audit` hace una enseguida.",
    attention="La auditoría encontró algo por revisar: {summary}",
)
