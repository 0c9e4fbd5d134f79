"""All texts of one language."""

from typing import Final

import msgspec

from relay.console.texts import frame, sign_in


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of one language. `code`: as in HTML's `lang`; `name`: as its speakers call it."""

    code: str
    name: str
    frame: frame.FrameTexts
    sign_in: sign_in.SignInTexts


ENGLISH: Final = Texts(code="en", name="English", frame=frame.ENGLISH, sign_in=sign_in.ENGLISH)
SPANISH: Final = Texts(code="es", name="Español", frame=frame.SPANISH, sign_in=sign_in.SPANISH)
