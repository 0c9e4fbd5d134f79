"""Texts of the sign-in."""

from typing import Final

import msgspec


class SignInTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the sign-in."""

    title: str
    lead: str
    token: str
    submit: str
    wrong: str
    throttled: str
    where: str


ENGLISH: Final = SignInTexts(
    title="Sign in",
    lead="Calls, deliveries and settings of this relay.",
    token="Token of the console",
    submit="Sign in",
    wrong="This token is not in the settings. Check that you copied all of it.",
    throttled="Too many wrong tokens came from your network. Wait {seconds} seconds, then try again.",
    where="The person who runs the relay has the token: it is in [console] tokens of the settings.",
)

SPANISH: Final = SignInTexts(
    title="Iniciar sesión",
    lead="Llamadas, entregas y configuración de este relay.",
    token="Token de la consola",
    submit="Entrar",
    wrong="Este token no está en la configuración. Compruebe que lo ha copiado entero.",
    throttled="Han llegado demasiados tokens incorrectos desde su red. Espere {seconds} segundos y pruebe otra "
    "vez.",
    where="El token lo tiene quien administra el relay: está en [console] tokens de la configuración.",
)
