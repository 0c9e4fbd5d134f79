"""The texts about a test call in both languages."""

from typing import Final

import msgspec

from relay.operations.languages import Text


class Problem(msgspec.Struct, frozen=True):
    """A text for a person with a stable code, and what to do next."""

    code: str
    text: Text
    hint: Text


# --- posting ------------------------------------------------------------------------------------

UNREACHABLE: Final = Problem(
    "public_url_unreachable",
    Text("nothing answers at {url} ({answer})", "nada responde en {url} ({answer})"),
    Text(
        "check that `relay serve` runs, that server.public_url is right, and that the proxy and the DNS"
        " lead to it",
        "compruebe que `relay serve` está en marcha, que server.public_url es correcta y que el proxy y el"
        " DNS"
        " llevan a ella",
    ),
)
CERTIFICATE: Final = Problem(
    "certificate_invalid",
    Text(
        "the certificate of {url} is not valid ({answer})", "el certificado de {url} no es válido ({answer})"
    ),
    Text(
        "renew the certificate of the proxy, or correct the name in server.public_url: CloudTalk refuses"
        " it too",
        "renueve el certificado del proxy o corrija el nombre en server.public_url: CloudTalk también lo"
        " rechaza",
    ),
)
TIMED_OUT: Final = Problem(
    "public_url_timeout",
    Text(
        "{url} took the event and did not answer ({answer})",
        "{url} recibió el evento y no contestó ({answer})",
    ),
    Text(
        "look at the log of the relay and of the proxy; `relay status` shows whether the ledger can be"
        " written",
        "revise el log del relay y el del proxy; `relay status` muestra si se puede escribir en el ledger",
    ),
)
REFUSED: Final = Problem(
    "test_refused",
    Text(
        "{url} refused the token or the signature of the settings: {answer}",
        "{url} rechazó el token o la firma de la configuración: {answer}",
    ),
    Text(
        "restart the relay if the settings changed since its start; check that the proxy passes on the header"
        " Authorization",
        "reinicie el relay si la configuración ha cambiado desde que arrancó; compruebe que el proxy"
        " transmite la"
        " cabecera Authorization",
    ),
)
FORBIDDEN: Final = Problem(
    "test_refused",
    Text(
        "a server in front of the relay refused the event at {url}: {answer}",
        "un servidor delante del relay rechazó el evento en {url}: {answer}",
    ),
    Text(
        "let the proxy or the firewall pass on POST requests to this path without a sign-in",
        "permita que el proxy o el cortafuegos deje pasar las peticiones POST a esta ruta sin identificación",
    ),
)
NOT_FOUND: Final = Problem(
    "webhook_not_found",
    Text(
        "there is no webhook at {url} (status {status}: {answer})",
        "no hay ningún webhook en {url} (estado {status}: {answer})",
    ),
    Text(
        "compare server.public_url and cloudtalk.webhook_path with what the proxy passes on",
        "compare server.public_url y cloudtalk.webhook_path con lo que transmite el proxy",
    ),
)
REDIRECT: Final = Problem(
    "webhook_redirected",
    Text("{url} redirects to {answer} (status {status})", "{url} redirige a {answer} (estado {status})"),
    Text(
        "write the final address in server.public_url: CloudTalk may not follow a redirect with the event",
        "escriba la dirección final en server.public_url: puede que CloudTalk no siga la redirección",
    ),
)
BUSY: Final = Problem(
    "relay_busy",
    Text(
        "the relay could not take the event at {url} (status {status}: {answer})",
        "el relay no pudo aceptar el evento en {url} (estado {status}: {answer})",
    ),
    Text(
        "`relay status` and the log of the relay show why; CloudTalk's events wait or are sent again",
        "`relay status` y el log del relay muestran el motivo; los eventos de CloudTalk esperan o se"
        " reenvían",
    ),
)
NO_UPSTREAM: Final = Problem(
    "relay_unreachable",
    Text(
        "the proxy at {url} does not reach the relay (status {status})",
        "el proxy de {url} no llega al relay (estado {status})",
    ),
    Text(
        "check that `relay serve` runs, and that the proxy has its address and port",
        "compruebe que `relay serve` está en marcha y que el proxy tiene su dirección y su puerto",
    ),
)
STATUS: Final = Problem(
    "test_refused",
    Text(
        "{url} answered with the status {status}: {answer}",
        "{url} respondió con el estado {status}: {answer}",
    ),
    Text(
        "look at the log of the relay and of the proxy",
        "revise el log del relay y el del proxy",
    ),
)
FOREIGN: Final = Problem(
    "not_a_relay",
    Text(
        "the answer of {url} is not that of a relay: {answer}",
        "la respuesta de {url} no es la de un relay: {answer}",
    ),
    Text(
        "compare server.public_url with the address under which the proxy publishes the relay",
        "compare server.public_url con la dirección en la que el proxy publica el relay",
    ),
)
NO_PORT: Final = Problem(
    "no_public_url",
    Text(
        "server.port is 0 and server.public_url is not set, so the address of the relay is not known",
        "server.port es 0 y server.public_url no está definida, así que no se conoce la dirección del relay",
    ),
    Text("set server.public_url", "defina server.public_url"),
)
NO_LEDGER: Final = Problem(
    "not_created",
    Text(
        "there is no ledger yet, so no relay can have received the test call",
        "aún no hay ledger, así que ningún relay puede haber recibido la llamada de prueba",
    ),
    Text("start the relay: `relay serve`", "inicie el relay: `relay serve`"),
)
BUSY_TEST: Final = Problem(
    "test_running",
    Text("another test call is under way", "ya hay otra llamada de prueba en curso"),
    Text("wait a minute, and try again", "espere un minuto y vuelva a intentarlo"),
)
POSTING: Final = Text("the events are posted to {url}", "se envían los eventos a {url}")
POSTED: Final = Text("{url} accepted the events", "{url} aceptó los eventos")

LEDGER: Final = Problem(
    "unreachable",
    Text("the ledger cannot be used: {reason}", "no se puede usar el ledger: {reason}"),
    Text("`relay check` shows what to do", "`relay check` muestra qué hacer"),
)

# --- folding ------------------------------------------------------------------------------------

FOLDING: Final = Text(
    "waiting until the call is in the ledger", "esperando a que la llamada esté en el ledger"
)
FOLDED: Final = Text(
    "the call is in the ledger, started and ended", "la llamada está en el ledger, iniciada y terminada"
)
OTHER_LEDGER: Final = Problem(
    "other_ledger",
    Text(
        "the relay at {url} accepted the test call {id}, but it is not in the ledger of these settings",
        "el relay de {url} aceptó la llamada de prueba {id}, pero no está en el ledger de esta configuración",
    ),
    Text(
        "server.public_url leads to another relay, or `relay serve` runs with other settings; remove the test"
        " call {id} there: its next `relay check --send` does so",
        "server.public_url lleva a otro relay, o `relay serve` usa otra configuración; elimine allí la"
        " llamada de"
        " prueba {id}: lo hace su próximo `relay check --send`",
    ),
)
NOT_FOLDED: Final = Problem(
    "not_folded",
    Text(
        "the events of the test call are not folded after {seconds} s; events before it: {unfolded}",
        "los eventos de la llamada de prueba no se han procesado tras {seconds} s; eventos en espera:"
        " {unfolded}",
    ),
    Text(
        "wait until the relay has folded them (`relay status`), then test again: the next test removes"
        " this one",
        "espere a que el relay los procese (`relay status`) y repita la prueba: la siguiente elimina esta",
    ),
)

# --- delivering ---------------------------------------------------------------------------------

WAITING: Final = Text("waiting for the delivery", "esperando la entrega")
DELIVERED: Final = Text("delivered after {seconds} s", "entregada en {seconds} s")
DELIVERED_PARTLY: Final = Text(
    "delivered, but the CRM refused a part of it: {answer}",
    "entregada, pero el CRM rechazó una parte: {answer}",
)
FILTERED: Final = Text(
    "not sent: destinations.{name}.when excludes this call (inbound, completed, 75 s, without the customer's"
    " number)",
    "no se envía: destinations.{name}.when excluye esta llamada (entrante, completada, 75 s, sin número del"
    " cliente)",
)
REJECTED: Final = Problem(
    "test_rejected",
    Text("the CRM refused the record: {answer}", "el CRM rechazó el registro: {answer}"),
    Text(
        "`relay check` tests the tables and fields of the CRM; correct what it names, and test again",
        "`relay check` comprueba las tablas y los campos del CRM; corrija lo que indica y repita la prueba",
    ),
)
NOT_IN_TIME: Final = Problem(
    "test_not_delivered",
    Text("not delivered within {seconds} s: {reason}", "no se entregó en {seconds} s: {reason}"),
    Text(
        "`relay status` shows what {name} does, and `relay check` tests its settings",
        "`relay status` muestra qué hace {name}, y `relay check` comprueba su configuración",
    ),
)
NOT_REGISTERED: Final = Text(
    "no relay serves this destination; restart the relay if you added it since its start",
    "ningún relay atiende este destino; reinicie el relay si lo añadió después de arrancarlo",
)

# --- removing -----------------------------------------------------------------------------------

REMOVING: Final = Text("the test call is removed", "se elimina la llamada de prueba")
REMOVED: Final = Text("the test call is removed", "la llamada de prueba se ha eliminado")
REMOVED_FROM_LEDGER: Final = Text(
    "the test call is removed from the ledger", "la llamada de prueba se ha eliminado del ledger"
)
NOT_REMOVED: Final = Problem(
    "test_not_removed",
    Text(
        "the test call {id} could not be removed: {reason}",
        "no se pudo eliminar la llamada de prueba {id}: {reason}",
    ),
    Text(
        "the ledger keeps the test call; run the test again, which removes it first, or remove its record"
        " in the CRM",
        "el ledger conserva la llamada de prueba; repita la prueba, que antes la elimina, o borre su registro"
        " en el CRM",
    ),
)
GONE_DESTINATION: Final = Text(
    "the settings no longer have this destination", "la configuración ya no incluye este destino"
)
LEFT: Final = Problem(
    "test_not_removed",
    Text(
        "test calls of an earlier run are still there: {number}; no other one is sent",
        "quedan llamadas de prueba de una ejecución anterior: {number}; no se envía otra",
    ),
    Text(
        "correct what keeps their CRM from removing them, and test again",
        "corrija lo que impide que su CRM las elimine y repita la prueba",
    ),
)
CLEANED: Final = Text(
    "test calls of an earlier run were removed: {number}",
    "llamadas de prueba de una ejecución anterior eliminadas: {number}",
)
