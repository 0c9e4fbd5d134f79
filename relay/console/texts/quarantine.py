"""Texts of the quarantine."""

from typing import Final

import msgspec


class QuarantineTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the quarantine. The names of reasons begin with `reason_`."""

    lead: str
    latest: str
    why: str
    path: str
    look: str
    body: str
    retry_all: str
    retry: str
    drop_all: str
    drop_question: str
    drop: str
    back: str
    shown: str
    retried: str
    stay: str
    dropped: str
    none: str
    none_why: str
    log: str
    quarantine_retry: str
    quarantine_drop: str
    everything: str
    reason_not_json: str
    reason_encoding: str
    reason_oversize: str
    reason_too_many_values: str
    reason_too_many: str
    reason_too_deep: str
    reason_missing_id: str
    reason_unreadable_field: str
    reason_not_an_event: str
    reason_unknown_event: str
    reason_foreign_company: str
    reason_conflicting_ids: str
    reason_set_aside: str


ENGLISH: Final = QuarantineTexts(
    lead="What CloudTalk sent and the relay could not use. Nothing is lost: correct the cause, then retry.",
    latest="Last:",
    why="What is wrong in the last one",
    path="Sent to",
    look="Look at them",
    body="What was sent",
    retry_all="Retry all {number}",
    retry="Retry",
    drop_all="Delete all {number}",
    drop_question="What is deleted cannot be retried later.",
    drop="Delete",
    back="All reasons",
    shown="{shown} of {number}, the latest first",
    retried="Used now: {number}",
    stay="Still in quarantine: {number}.",
    dropped="Deleted: {number}",
    none="The quarantine is empty",
    none_why="The relay could use everything that CloudTalk sent.",
    log="What people did",
    quarantine_retry="Retried:",
    quarantine_drop="Deleted:",
    everything="all entries",
    reason_not_json="No JSON and no form",
    reason_encoding="Unreadable characters",
    reason_oversize="Too large",
    reason_too_many_values="Too many values",
    reason_too_many="Too many events at once",
    reason_too_deep="Nested too deeply",
    reason_missing_id="Without the id of a call",
    reason_unreadable_field="A value that cannot be read",
    reason_not_an_event="No event",
    reason_unknown_event="Unknown event",
    reason_foreign_company="From another CloudTalk account",
    reason_conflicting_ids="An id of another call",
    reason_set_aside="The relay failed on it",
)
SPANISH: Final = QuarantineTexts(
    lead="Lo que CloudTalk envió y el relay no pudo usar. No se pierde nada: corrija la causa y después reintente.",
    latest="Último:",
    why="Qué falla en el último",
    path="Enviado a",
    look="Ver los mensajes",
    body="Lo que se envió",
    retry_all="Reintentar los {number}",
    retry="Reintentar",
    drop_all="Borrar los {number}",
    drop_question="Lo borrado no se puede reintentar después.",
    drop="Borrar",
    back="Todos los motivos",
    shown="{shown} de {number}, primero los últimos",
    retried="Se han usado ahora: {number}",
    stay="Siguen en cuarentena: {number}.",
    dropped="Borrados: {number}",
    none="La cuarentena está vacía",
    none_why="El relay pudo usar todo lo que envió CloudTalk.",
    log="Lo que hicieron las personas",
    quarantine_retry="Reintento:",
    quarantine_drop="Eliminación:",
    everything="todas las entradas",
    reason_not_json="Ni JSON ni formulario",
    reason_encoding="Caracteres ilegibles",
    reason_oversize="Demasiado grande",
    reason_too_many_values="Demasiados valores",
    reason_too_many="Demasiados eventos a la vez",
    reason_too_deep="Demasiados niveles",
    reason_missing_id="Sin el id de una llamada",
    reason_unreadable_field="Un valor que no se puede leer",
    reason_not_an_event="No es un evento",
    reason_unknown_event="Evento desconocido",
    reason_foreign_company="De otra cuenta de CloudTalk",
    reason_conflicting_ids="Un id de otra llamada",
    reason_set_aside="El relay falló con él",
)
