"""Texts of the frame that all pages have: navigation, switches, errors."""

from typing import Final

import msgspec


class FrameTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the frame."""

    skip: str
    menu: str
    navigation: str
    overview: str
    calls: str
    dead_letters: str
    quarantine: str
    audit: str
    set_up: str
    sign_out: str
    language: str
    theme: str
    theme_auto: str
    theme_light: str
    theme_dark: str
    no_longer_live: str
    not_found_title: str
    not_found: str
    forbidden_title: str
    forbidden: str
    no_ledger_title: str
    no_ledger: str
    slow_title: str
    slow: str
    failed_title: str
    failed: str
    closed_title: str
    closed_public: str
    closed_foreign: str
    closed_how: str
    back: str


ENGLISH: Final = FrameTexts(
    skip="Skip to the content",
    menu="Menu",
    navigation="Pages",
    overview="Overview",
    calls="Calls",
    dead_letters="Dead letters",
    quarantine="Quarantine",
    audit="Audit",
    set_up="Set-up",
    sign_out="Sign out",
    language="Language",
    theme="Colours",
    theme_auto="Automatic",
    theme_light="Light",
    theme_dark="Dark",
    no_longer_live="The relay does not answer. The page shows what was known before.",
    not_found_title="There is no such page",
    not_found="The address is wrong, or what it showed was removed.",
    forbidden_title="The form was not accepted",
    forbidden="It was sent by another page, or your session ended meanwhile. Go back, reload the page and send "
    "the form again.",
    no_ledger_title="The ledger cannot be read",
    no_ledger="The database of the relay does not answer. Run `relay check` on the machine of the relay: it "
    "says what to do.",
    slow_title="The page took too long",
    slow="The relay stopped reading so that calls do not wait. Try again. Limit a search, for example to a day or "
    "by a second word. If other pages are slow too, run `relay check` on the machine of the relay.",
    failed_title="The page could not be shown",
    failed="This is a fault of the relay. Its log has a line console.failed with the reason.",
    closed_title="The console is closed",
    closed_public="Other machines can reach this relay, and no token protects its console.",
    closed_foreign="Without a token, only a browser on the machine of the relay may use the console. This request "
    "came from another machine or through a proxy.",
    closed_how="To open the console, write a token to a file (openssl rand -hex 32 > console-tokens && chmod "
    "600 console-tokens), name the file in the settings and restart the relay:",
    back="Back to the overview",
)

SPANISH: Final = FrameTexts(
    skip="Saltar al contenido",
    menu="Menú",
    navigation="Páginas",
    overview="Resumen",
    calls="Llamadas",
    dead_letters="No entregadas",
    quarantine="Cuarentena",
    audit="Auditoría",
    set_up="Configuración",
    sign_out="Cerrar sesión",
    language="Idioma",
    theme="Colores",
    theme_auto="Automático",
    theme_light="Claro",
    theme_dark="Oscuro",
    no_longer_live="El relay no responde. La página muestra lo último que se sabía.",
    not_found_title="Esta página no existe",
    not_found="La dirección es incorrecta o lo que mostraba se ha eliminado.",
    forbidden_title="El formulario no se ha aceptado",
    forbidden="Lo envió otra página o su sesión ha terminado. Vuelva atrás, recargue la página y envíe el "
    "formulario otra vez.",
    no_ledger_title="No se puede leer el registro",
    no_ledger="La base de datos del relay no responde. Ejecute `relay check` en el equipo del relay: indica qué "
    "hacer.",
    slow_title="La página ha tardado demasiado",
    slow="El relay ha dejado de leer para que las llamadas no esperen. Inténtelo otra vez. Limite la búsqueda, por "
    "ejemplo a un día o con una segunda palabra. Si otras páginas también son lentas, ejecute `relay check` en el "
    "equipo del relay.",
    failed_title="No se puede mostrar la página",
    failed="Es un fallo del relay. Su log tiene una línea console.failed con el motivo.",
    closed_title="La consola está cerrada",
    closed_public="Otros equipos pueden acceder a este relay y ningún token protege su consola.",
    closed_foreign="Sin token, solo un navegador en el equipo del relay puede usar la consola. Esta petición viene "
    "de otro equipo o a través de un proxy.",
    closed_how="Para abrir la consola, escriba un token en un archivo (openssl rand -hex 32 > console-tokens && "
    "chmod 600 console-tokens), indique el archivo en la configuración y reinicie el relay:",
    back="Volver al resumen",
)
