"""What the embedded CRM, the client `webhook` and the HTTP client of all clients find or answer."""

from typing import Final

TEXTS: Final = {
    # --- HTTP -------------------------------------------------------------------------------------
    "The CRM currently accepts no more requests of the rate limit {}.": (
        "El CRM no acepta ahora más peticiones del límite {}."
    ),
    "No connection to {}: {}.": "No hay conexión con {}: {}.",
    "{} sent more than {} bytes before its response.": "{} envió más de {} bytes antes de su respuesta.",
    "{} received a request and did not respond: {}.": "{} recibió una petición y no respondió: {}.",
    "{} answered {} with more than {} bytes, and the rest was not read.": (
        "{} respondió {} con más de {} bytes, y el resto no se leyó."
    ),
    "{} answered {} with a body that is not complete gzip.": (
        "{} respondió {} con un cuerpo que no es gzip completo."
    ),
    # --- the webhook ------------------------------------------------------------------------------
    "set url to an address of the public internet, or allow_private = true if the receiver is in your own"
    " network": (
        "ponga en url una dirección de internet pública, o allow_private = true si el receptor está en su"
        " propia red"
    ),
    "check that url is right, that the receiver runs and, with https, that its certificate is valid": (
        "compruebe que url es correcta, que el receptor está en marcha y, con https, que su certificado es"
        " válido"
    ),
    "check that the receiver answers within timeout_seconds": (
        "compruebe que el receptor responde dentro de timeout_seconds"
    ),
    "set url to the address that it redirects to": "ponga en url la dirección a la que redirige",
    "set url to another endpoint, or let the receiver accept calls again": (
        "ponga en url otro destino, o haga que el receptor vuelva a aceptar llamadas"
    ),
    "{} resolves to {}, which is not public.": "{} lleva a {}, que no es una dirección pública.",
    "{} The receiver wants no more calls.": "{} El receptor no quiere más llamadas.",
    "{} Redirects are not followed.": "{} No se siguen las redirecciones.",
    "The receiver answered {} {}": "El receptor respondió {} {}",
    # --- the embedded CRM -------------------------------------------------------------------------
    "check that the folder exists, that it can be written, and that the file is an SQLite database": (
        "compruebe que la carpeta existe, que se puede escribir en ella y que el fichero es una base de datos"
        " SQLite"
    ),
    "{} cannot be opened: {}": "no se puede abrir {}: {}",
    "{} cannot be created": "no se puede crear {}",
    "the table calls in {} is missing": "falta la tabla calls en {}",
    "the table calls in {} lacks {}": "a la tabla calls de {} le falta {}",
    "`relay setup {}` creates it": "`relay setup {}` la crea",
    "`relay setup {}` adds them, as does {}": "`relay setup {}` lo añade, igual que {}",
    "the first call creates {}, as does `relay setup {}`": (
        "la primera llamada crea {}, igual que `relay setup {}`"
    ),
}
