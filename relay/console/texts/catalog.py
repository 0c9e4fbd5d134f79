"""All texts of one language."""

from typing import Final

import msgspec

from relay.console.texts import (
    audit,
    call,
    calls,
    dead_letters,
    frame,
    overview,
    quarantine,
    set_up,
    sign_in,
    units,
)


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of one language. `code`: as in HTML's `lang`; `name`: as its speakers call it."""

    code: str
    name: str
    frame: frame.FrameTexts
    sign_in: sign_in.SignInTexts
    units: units.UnitTexts
    words: calls.WordTexts
    calls: calls.CallsTexts
    call: call.CallTexts
    overview: overview.OverviewTexts
    dead_letters: dead_letters.DeadLetterTexts
    quarantine: quarantine.QuarantineTexts
    audit: audit.AuditTexts
    set_up: set_up.SetUpTexts


ENGLISH: Final = Texts(
    code="en",
    name="English",
    frame=frame.ENGLISH,
    sign_in=sign_in.ENGLISH,
    units=units.ENGLISH,
    words=calls.ENGLISH_WORDS,
    calls=calls.ENGLISH,
    call=call.ENGLISH,
    overview=overview.ENGLISH,
    dead_letters=dead_letters.ENGLISH,
    quarantine=quarantine.ENGLISH,
    audit=audit.ENGLISH,
    set_up=set_up.ENGLISH,
)
SPANISH: Final = Texts(
    code="es",
    name="Español",
    frame=frame.SPANISH,
    sign_in=sign_in.SPANISH,
    units=units.SPANISH,
    words=calls.SPANISH_WORDS,
    calls=calls.SPANISH,
    call=call.SPANISH,
    overview=overview.SPANISH,
    dead_letters=dead_letters.SPANISH,
    quarantine=quarantine.SPANISH,
    audit=audit.SPANISH,
    set_up=set_up.SPANISH,
)
