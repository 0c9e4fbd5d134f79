"""The texts of `relay init` in both languages. The lines of settings.toml are in `settings_text`."""

from typing import Final

from relay.operations.languages import Text

# --- the CRMs -----------------------------------------------------------------------------------

LOCAL: Final = Text(
    "embedded: a table in an SQLite file, to try the relay",
    "integrado: una tabla en un archivo SQLite, para probar el relay",
)
SUPABASE: Final = Text("Supabase: a table of its own", "Supabase: una tabla propia")
SUPABASE_KV: Final = Text(
    "Supabase: the key-value table of an existing CRM",
    "Supabase: la tabla de clave y valor de un CRM existente",
)
HUBSPOT: Final = Text("HubSpot", "HubSpot")
WEBHOOK: Final = Text("a signed webhook to your own program", "un webhook firmado a su propio programa")

# --- questions ----------------------------------------------------------------------------------

WELCOME: Final = Text(
    "This writes the settings of a relay to {folder}. Enter accepts the answer in brackets, and Ctrl-C ends"
    " without a change.",
    "Esto escribe la configuración de un relay en {folder}. Intro acepta la respuesta entre corchetes y"
    " Ctrl-C termina sin cambiar nada.",
)
ASK_OVERWRITE: Final = Text("{file} exists. Replace it? (yes/no)", "{file} ya existe. ¿Reemplazarlo? (sí/no)")
KEPT: Final = Text("Nothing was changed.", "No se ha cambiado nada.")
EXISTS: Final = Text(
    "{file} exists; --force replaces it, or name another folder",
    "{file} ya existe; --force lo reemplaza, o indique otra carpeta",
)
NAME_FOLDER: Final = Text(
    "relay init writes a new settings.toml: name its folder, not a settings file",
    "relay init escribe un settings.toml nuevo: indique su carpeta, no un archivo de configuración",
)
LIST_CRMS: Final = Text("Which CRM gets the calls?", "¿Qué CRM recibe las llamadas?")
ASK_CRM: Final = Text("Number", "Número")
EXPECTED_CRM: Final = Text(
    "expected a number of the list, or one of {names}",
    "se esperaba un número de la lista o uno de {names}",
)
ASK_SUPABASE_URL: Final = Text("Address of the project (Project URL)", "Dirección del proyecto (Project URL)")
EXPECTED_SUPABASE_URL: Final = Text(
    "expected the project's address, such as https://abcdefgh.supabase.co",
    "se esperaba la dirección del proyecto, como https://abcdefgh.supabase.co",
)
ASK_WEBHOOK_URL: Final = Text("Address that receives the calls", "Dirección que recibe las llamadas")
EXPECTED_WEBHOOK_URL: Final = Text(
    "expected an address such as https://example.com/calls",
    "se esperaba una dirección como https://example.com/llamadas",
)
EXPECTED_URL: Final = Text(
    "expected an address that begins with https://", "se esperaba una dirección que empiece por https://"
)
HIDDEN: Final = Text("what you type or paste is not shown", "no se muestra lo que escribe o pega")
ASK_SUPABASE_KEY: Final = Text("Secret key of the project (sb_secret_…)", "Clave secreta (sb_secret_…)")
ASK_HUBSPOT_KEY: Final = Text("Service key of the account (pat-…)", "Clave de servicio (pat-…)")
EXPECTED_KEY: Final = Text(
    "expected the key as one word, as the CRM shows it",
    "se esperaba la clave en una sola palabra, como la muestra el CRM",
)
ASK_WEBHOOK_SECRET: Final = Text(
    "Secret that signs the calls (whsec_…, Enter creates one)",
    "Secreto que firma las llamadas (whsec_…, Intro crea uno)",
)
EXPECTED_WEBHOOK_SECRET: Final = Text(
    "expected whsec_ and base64, or nothing to create a secret",
    "se esperaba whsec_ y base64, o nada para crear un secreto",
)
EXPLAIN_PUBLIC_URL: Final = Text(
    "CloudTalk reaches the relay at its public URL, which needs https: of a proxy or a tunnel in front of the"
    " relay. Without one yet, press Enter and set server.public_url later.",
    "CloudTalk llega al relay por su URL pública, que necesita https: la de un proxy o un túnel delante del"
    " relay. Si aún no tiene ninguna, pulse Intro y defina server.public_url más tarde.",
)
ASK_PUBLIC_URL: Final = Text("Public URL", "URL pública")
EXPECTED_PUBLIC_URL: Final = Text(
    "expected an address such as https://calls.example.com, without a query",
    "se esperaba una dirección como https://llamadas.example.com, sin parámetros",
)
ASK_TIMEZONE: Final = Text("Time zone of your CloudTalk account", "Zona horaria de su cuenta de CloudTalk")
EXPECTED_TIMEZONE: Final = Text(
    "expected the name of a time zone, such as Europe/Madrid",
    "se esperaba el nombre de una zona horaria, como Europe/Madrid",
)
ASK_REGION: Final = Text(
    "Country of numbers without a country code", "País de los números sin prefijo internacional"
)
EXPECTED_REGION: Final = Text(
    "expected a country code of two letters, such as ES",
    "se esperaba un código de país de dos letras, como ES",
)
EXPECTED_YES_OR_NO: Final = Text("expected yes or no", "se esperaba sí o no")
YES: Final = Text("yes", "sí")
NO: Final = Text("no", "no")
MISSING: Final = Text(
    "no answer for “{question}”: give {option}", "falta la respuesta a «{question}»: indíquela con {option}"
)
INVALID: Final = Text("{option}: {expected}", "{option}: {expected}")

# --- files --------------------------------------------------------------------------------------

WRITTEN: Final = Text("Written:", "Escrito:")
TOKEN_KEPT: Final = Text(
    "{file} stays as it is: CloudTalk already has its token.",
    "{file} queda como está: CloudTalk ya tiene su token.",
)
LOCAL_OVERRIDES: Final = Text(
    "{file} overrides keys of the new settings.toml: look whether you still need it.",
    "{file} prevalece sobre el settings.toml nuevo: compruebe si aún lo necesita.",
)
OTHER_PORT: Final = Text(
    "Another program uses the port 8080, so the relay listens on {port}.",
    "Otro programa usa el puerto 8080, así que el relay escucha en el {port}.",
)
NOT_WRITTEN: Final = Text(
    "the files cannot be written: {reason}", "no se pueden escribir los archivos: {reason}"
)

# --- first steps --------------------------------------------------------------------------------

CHECKING: Final = Text("Check (relay check):", "Comprobación (relay check):")
ASK_SETUP: Final = Text("Set up {name} now? (yes/no)", "¿Preparar {name} ahora? (sí/no)")
SETUP_FAILED: Final = Text("{name} could not be set up: {reason}", "no se pudo preparar {name}: {reason}")
RUN_SQL: Final = Text(
    "The SQL that creates it is in {file}. Copy all of it into the SQL editor of the project and press Run:",
    "El SQL que lo crea está en {file}. Cópielo entero en el editor SQL del proyecto y pulse Run:",
)
SQL_BY_PSQL: Final = Text(
    "Or, with the connection string of the project:", "O bien, con la cadena de conexión del proyecto:"
)
SQL_NOT_WRITTEN: Final = Text(
    "{file} cannot be written ({reason}); `relay setup {name} --print` prints the SQL",
    "no se puede escribir {file} ({reason}); `relay setup {name} --print` muestra el SQL",
)
ASK_SQL_DONE: Final = Text(
    "Did you run it? Then the check is repeated (yes/no)",
    "¿Lo ha ejecutado? Entonces se repite la comprobación (sí/no)",
)
SETUP_LATER: Final = Text(
    "Later: `relay setup {name}`, then `relay check`.",
    "Más tarde: `relay setup {name}` y después `relay check`.",
)
CLOUDTALK: Final = Text("What to enter in CloudTalk:", "Qué escribir en CloudTalk:")
CLOUDTALK_LATER: Final = Text(
    "CloudTalk cannot reach {url}. Once you have a public URL, write it to server.public_url;"
    " `relay cloudtalk-setup` then prints what to enter in CloudTalk.",
    "CloudTalk no puede llegar a {url}. Cuando tenga una URL pública, escríbala en server.public_url;"
    " `relay cloudtalk-setup --lang es` muestra entonces qué escribir en CloudTalk.",
)
ASK_TEST_CALL: Final = Text(
    "Send a test call, and remove it again? (yes/no)",
    "¿Enviar una llamada de prueba y eliminarla después? (sí/no)",
)
TEST_CALL: Final = Text("Test call:", "Llamada de prueba:")
STARTING: Final = Text("a relay is started for it", "se inicia un relay para ella")
NO_TEST_CALL: Final = Text(
    "No test call is sent: first correct what the check found, then run `relay check`.",
    "No se envía ninguna llamada de prueba: corrija antes lo que encontró la comprobación y ejecute"
    " `relay check`.",
)
RELAY_FAILED: Final = Text("the relay did not start:", "el relay no arrancó:")
TEST_FAILED: Final = Text(
    "The settings are written, but the test call did not arrive.",
    "La configuración está escrita, pero la llamada de prueba no llegó.",
)
ARRIVED: Final = Text(
    "A call goes through the relay into the CRM.", "Una llamada llega al CRM a través del relay."
)
RUN: Final = Text("Run the relay:", "Ponga en marcha el relay:")
SEE: Final = Text("See what it does:", "Vea qué hace:")
TRY_OUT: Final = Text(
    "Then send it a call by hand, which stays in the CRM:",
    "Después envíele una llamada a mano, que se queda en el CRM:",
)
SIGN_IN: Final = Text(
    "Sign in to the console with the token in {file}.", "Entre en la consola con el token de {file}."
)
TEST_PUBLIC: Final = Text(
    "Once the proxy runs, test the whole way: `relay check --send`.",
    "Cuando el proxy esté en marcha, pruebe todo el camino: `relay check --send`.",
)
CLOUDTALK_AGAIN: Final = Text(
    "`relay cloudtalk-setup` prints again what to enter in CloudTalk.",
    "`relay cloudtalk-setup --lang es` muestra otra vez qué escribir en CloudTalk.",
)
FOR_GOOD: Final = Text(
    "docs/hosting.md of the project shows how to run it for good: as a service, in a container, behind a"
    " proxy.",
    "docs/hosting.md del proyecto muestra cómo dejarlo en marcha: como servicio, en un contenedor, tras un"
    " proxy.",
)
