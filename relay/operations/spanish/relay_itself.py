"""What `check` finds in the settings, the ledger, the archive of recordings and the receiver of alerts."""

from typing import Final

TEXTS: Final = {
    # --- the settings -----------------------------------------------------------------------------
    "there is no destination: calls are stored, but delivered to no CRM": (
        "no hay ningún destino: las llamadas se guardan, pero no se entregan a ningún CRM"
    ),
    "add a table [destinations.NAME] to the settings; the settings.toml that comes with the relay has"
    " examples": (
        "añada una tabla [destinations.NOMBRE] a la configuración; el settings.toml que viene con el relay"
        " tiene ejemplos"
    ),
    "enabled = false: calls become pending, and nothing is sent": (
        "enabled = false: las llamadas quedan pendientes y no se envía nada"
    ),
    "remove `enabled` from [destinations.{}] to deliver the pending calls, or remove the destination": (
        "quite `enabled` de [destinations.{}] para entregar las llamadas pendientes, o quite el destino"
    ),
    "destinations.{}.{} begins with {}: calls and keys are sent unencrypted": (
        "destinations.{}.{} comienza por {}: las llamadas y las claves se envían sin cifrar"
    ),
    "write https:// in destinations.{}.{}, if the server supports it": (
        "escriba https:// en destinations.{}.{}, si el servidor lo admite"
    ),
    "server.public_url begins with {}: calls and tokens are sent unencrypted": (
        "server.public_url comienza por {}: las llamadas y los tokens se envían sin cifrar"
    ),
    "put a reverse proxy with TLS in front of the relay, and write https:// in server.public_url": (
        "ponga delante del relay un proxy inverso con TLS y escriba https:// en server.public_url"
    ),
    "server.public_url contains the path of the webhook, {}: CloudTalk would be given {}": (
        "server.public_url contiene la ruta del webhook, {}: a CloudTalk se le daría {}"
    ),
    "remove {} and what follows it from server.public_url; the relay appends it": (
        "quite {} y lo que sigue de server.public_url; el relay lo añade"
    ),
    "alerts.webhook_url begins with {}: alerts are sent unencrypted": (
        "alerts.webhook_url comienza por {}: las alertas se envían sin cifrar"
    ),
    "write https:// in alerts.webhook_url, if the server supports it": (
        "escriba https:// en alerts.webhook_url, si el servidor lo admite"
    ),
    "ledger.url accepts an unencrypted connection to {}": "ledger.url admite una conexión sin cifrar con {}",
    "add sslmode=verify-full to ledger.url, and sslrootcert with the certificates to trust (a file, or"
    " `system`)": (
        "añada sslmode=verify-full a ledger.url, y sslrootcert con los certificados de confianza (un fichero,"
        " o `system`)"
    ),
    "the switches of [enrich] have no effect: CloudTalk is asked with an API key, and the settings have"
    " none": (
        "las opciones de [enrich] no tienen efecto: a CloudTalk se le pregunta con una clave de API, y la"
        " configuración no tiene ninguna"
    ),
    "write cloudtalk.api.key_id and key_secret, or remove the switches of [enrich]": (
        "escriba cloudtalk.api.key_id y key_secret, o quite las opciones de [enrich]"
    ),
    "CloudTalk is not asked about calls: {}": "No se pregunta a CloudTalk por las llamadas: {}",
    "correct the cause; a running relay tries again by itself, at once after a restart; if your plan does not"
    " have this API, switch it off in [enrich]": (
        "corrija la causa; un relay en marcha lo vuelve a intentar por sí mismo, y enseguida tras un"
        " reinicio; si su plan no tiene esta API, desactívela en [enrich]"
    ),
    "reconcile.every_minutes has no effect: CloudTalk's history is read with an API key, and the settings"
    " have none": (
        "reconcile.every_minutes no tiene efecto: el historial de CloudTalk se lee con una clave de API, y la"
        " configuración no tiene ninguna"
    ),
    "write cloudtalk.api.key_id and key_secret, or set reconcile.every_minutes = 0": (
        "escriba cloudtalk.api.key_id y key_secret, o ponga reconcile.every_minutes = 0"
    ),
    "cloudtalk.api.{} begins with {}: the API key is sent unencrypted": (
        "cloudtalk.api.{} comienza por {}: la clave de API se envía sin cifrar"
    ),
    "write https:// in cloudtalk.api.{}": "escriba https:// en cloudtalk.api.{}",
    "token {} in {} is easy to guess": "el token {} de {} es fácil de adivinar",
    "replace it by a random one: {}": "sustitúyalo por uno aleatorio: {}",
    "secret {} in cloudtalk.signing_secrets is easy to guess": (
        "el secreto {} de cloudtalk.signing_secrets es fácil de adivinar"
    ),
    "create the webhook in CloudTalk again, and use the secret that CloudTalk shows then": (
        "vuelva a crear el webhook en CloudTalk y use el secreto que CloudTalk muestra entonces"
    ),
    "destinations.{} has a key that is easy to guess: it is shorter than {} bytes, or regular": (
        "destinations.{} tiene una clave fácil de adivinar: mide menos de {} bytes o es regular"
    ),
    "{} contains a secret, and other users of this machine can read it": (
        "{} contiene un secreto, y otros usuarios de esta máquina pueden leerlo"
    ),
    "{} contains a secret, and other users of this machine can read and write it": (
        "{} contiene un secreto, y otros usuarios de esta máquina pueden leerlo y escribirlo"
    ),
    "chmod 600 {}, as the user that runs the relay": "chmod 600 {}, como el usuario que ejecuta el relay",
    "the environment variable {} has no effect: two underscores separate section and key": (
        "la variable de entorno {} no tiene efecto: dos guiones bajos separan la sección y la clave"
    ),
    "use {} instead": "use {} en su lugar",
    # --- files ------------------------------------------------------------------------------------
    "other users of this machine may read or write {}, with personal data in it": (
        "otros usuarios de esta máquina pueden leer o escribir {}, que contiene datos personales"
    ),
    "other users of this machine can write {}, and so replace what the relay reads there": (
        "otros usuarios de esta máquina pueden escribir {} y así sustituir lo que el relay lee ahí"
    ),
    "chmod go-w {}, as its owner": "chmod go-w {}, como su propietario",
    "{} is no folder": "{} no es una carpeta",
    "{} is yours and has the mode {}; run `chmod u+rwX {}`": (
        "{} es suyo y tiene el modo {}; ejecute `chmod u+rwX {}`"
    ),
    "{} belongs to {}, and you are {}; run the command as {}": (
        "{} pertenece a {}, y usted es {}; ejecute el relay como {}"
    ),
    "the user {}": "el usuario {}",
    # --- requests that were refused ---------------------------------------------------------------
    "requests with a wrong token are refused, the last at {} from {}": (
        "se rechazan peticiones con un token incorrecto, la última a las {} desde {}"
    ),
    "requests without a token are refused, the last at {} from {}": (
        "se rechazan peticiones sin token, la última a las {} desde {}"
    ),
    "requests with a wrong signature are refused, the last at {} from {}": (
        "se rechazan peticiones con una firma incorrecta, la última a las {} desde {}"
    ),
    "requests without a signature are refused, the last at {} from {}": (
        "se rechazan peticiones sin firma, la última a las {} desde {}"
    ),
    "requests from other machines are refused, the last at {} from {}": (
        "se rechazan peticiones de otras máquinas, la última a las {} desde {}"
    ),
    "if CloudTalk sends them, enter a token of cloudtalk.tokens in the header Authorization of each"
    " workflow": (
        "si las envía CloudTalk, escriba un token de cloudtalk.tokens en la cabecera Authorization de cada"
        " workflow"
    ),
    "if CloudTalk sends them, copy the secret that CloudTalk shows for its webhook to"
    " cloudtalk.signing_secrets": (
        "si las envía CloudTalk, copie en cloudtalk.signing_secrets el secreto que CloudTalk muestra para su"
        " webhook"
    ),
    "write a token to cloudtalk.tokens, restart the relay, and enter the token in CloudTalk: without a"
    " token only programs on this machine may send events": (
        "escriba un token en cloudtalk.tokens, reinicie el relay e introduzca el token en CloudTalk: sin"
        " token solo pueden enviar eventos los programas de esta máquina"
    ),
    # --- the ledger -------------------------------------------------------------------------------
    "the ledger {} cannot be created": "no se puede crear el ledger {}",
    "`relay serve` creates {}": "`relay serve` crea {}",
    "its tables": "sus tablas",
    "check that the folder of ledger.url exists and is writable, and that the disk is not full": (
        "compruebe que la carpeta de ledger.url existe y se puede escribir en ella, y que el disco no está"
        " lleno"
    ),
    "check that the server of ledger.url runs and accepts connections from this machine, and that its disk is"
    " not full": (
        "compruebe que el servidor de ledger.url está en marcha y acepta conexiones de esta máquina, y que su"
        " disco no está lleno"
    ),
    "the ledger cannot be used: it stores no event: {}": (
        "no se puede usar el ledger: no guarda ningún evento: {}"
    ),
    "the ledger {} is damaged ({}); stop the relay and put a backup in its place: `relay ledger restore"
    " BACKUP`, which keeps the damaged file": (
        "el ledger {} está dañado ({}); pare el relay y ponga una copia en su lugar: `relay ledger restore"
        " COPIA`, que conserva el fichero dañado"
    ),
    "a signed webhook was refused within the last day: {}": (
        "en el último día se rechazó un webhook firmado: {}"
    ),
    "the signature is {} s old (server time {})": "la firma tiene {} s (hora del servidor: {})",
    "the signature is {} s ahead (server time {})": "la firma va {} s adelantada (hora del servidor: {})",
    "set this machine's clock (with systemd: timedatectl set-ntp true), then let CloudTalk resend": (
        "ponga en hora esta máquina (con systemd: timedatectl set-ntp true) y deje que CloudTalk reenvíe"
    ),
    "ended events without {} within the last day: {}; a missed call among them looks completed": (
        "eventos de fin sin {} en el último día: {}; una llamada perdida entre ellos parece completada"
    ),
    "add {} to the body of the ended event, with a value from the variable picker; `relay cloudtalk-setup`"
    " prints the body": (
        "añada {} al cuerpo del evento de fin, con un valor del selector de variables; `relay"
        " cloudtalk-setup` muestra el cuerpo"
    ),
    "the clock says {}, but the newest call is of {}; nothing is deleted until a new call confirms the"
    " clock": (
        "el reloj marca {}, pero la última llamada es de {}; no se borra nada hasta que una llamada nueva"
        " confirme el reloj"
    ),
    "if the time is wrong, set this machine's clock; if it is right, the first call after the pause ends"
    " this": (
        "si la hora es incorrecta, ponga en hora esta máquina; si es correcta, la primera llamada tras la"
        " pausa lo resuelve"
    ),
    "a person paused it; pending calls: {}": "una persona lo puso en pausa; llamadas pendientes: {}",
    "`relay destinations resume {}` delivers them": "`relay destinations resume {}` las entrega",
    "the relay paused it until {}; pending calls: {}; {}: {}": (
        "el relay lo puso en pausa hasta {}; llamadas pendientes: {}; {}: {}"
    ),
    "unauthorised": "credenciales rechazadas",
    "throttled": "límite de peticiones",
    "misconfigured": "no está preparado",
    "failing": "no responde",
    "correct the cause; a running relay probes the CRM and resumes by itself, at once after `relay"
    " destinations probe {}`": (
        "corrija la causa; un relay en marcha prueba el CRM y se reanuda solo, de inmediato tras `relay"
        " destinations probe {}`"
    ),
    "calls that could not be delivered and are not retried: {}": (
        "llamadas que no se pudieron entregar y que no se reintentan: {}"
    ),
    "`relay dead list --destination {}` shows why; then replay or drop them": (
        "`relay dead list --destination {}` muestra el motivo; después reenvíelas o descártelas"
    ),
    "delivered calls that still have earlier labels, fields or constants: {}": (
        "llamadas entregadas que aún tienen etiquetas, campos o constantes anteriores: {}"
    ),
    "`relay replay --changed-settings --destination {}` writes these calls again": (
        "`relay replay --changed-settings --destination {}` vuelve a escribir estas llamadas"
    ),
    "the client failed: {}: {}": "el cliente falló: {}: {}",
    "report this to the author of {}": "comuníquelo al autor de {}",
    # --- CloudTalk's history ----------------------------------------------------------------------
    "CloudTalk's history cannot be read: {}": "no se puede leer el historial de CloudTalk: {}",
    "CloudTalk's analytics cannot be asked which call is which: {}": (
        "no se puede preguntar a la API de análisis de CloudTalk qué llamada es cuál: {}"
    ),
    "check cloudtalk.api.key_id and key_secret, or create another key in CloudTalk (Account → Settings → API "
    "keys; plans below Essential have no API)": (
        "compruebe cloudtalk.api.key_id y key_secret, o cree otra clave en CloudTalk (Account → Settings → "
        "API keys; los planes por debajo de Essential no tienen API)"
    ),
    "check cloudtalk.api.base_url and analytics_url": ("compruebe cloudtalk.api.base_url y analytics_url"),
    "CloudTalk's edge refuses requests before they reach the API: check that no proxy changes them, or ask "
    "CloudTalk to allow the address of this machine": (
        "la entrada de CloudTalk rechaza las peticiones antes de que lleguen a la API: compruebe que ningún "
        "proxy las cambia, o pida a CloudTalk que permita la dirección de esta máquina"
    ),
    "try again later, and look at CloudTalk's status page if it stays so": (
        "inténtelo más tarde, y mire la página de estado de CloudTalk si sigue así"
    ),
    "other programs use up CloudTalk's 60 requests a minute": (
        "otros programas gastan las 60 peticiones por minuto de CloudTalk"
    ),
    # --- recordings -------------------------------------------------------------------------------
    "create another key in CloudTalk, and write it to cloudtalk.api.key_id and key_secret": (
        "cree otra clave en CloudTalk y escríbala en cloudtalk.api.key_id y key_secret"
    ),
    "check cloudtalk.api.base_url, and that this machine can reach it": (
        "compruebe cloudtalk.api.base_url y que esta máquina llega a ella"
    ),
    "the archive {} cannot be written": "no se puede escribir en el archivo de grabaciones {}",
    "check recordings.keep_url and [recordings.s3]; the key must be able to write, read and delete": (
        "compruebe recordings.keep_url y [recordings.s3]; la clave debe poder escribir, leer y borrar"
    ),
    "recordings.keep_key is not set: archived recordings are not encrypted": (
        "recordings.keep_key no está definida: las grabaciones archivadas no se cifran"
    ),
    "write a key to recordings.keep_key (openssl rand -hex 32 creates one), and keep a copy": (
        "escriba una clave en recordings.keep_key (openssl rand -hex 32 crea una) y guarde una copia"
    ),
    "archived recordings are deleted after {} days, the default": (
        "las grabaciones archivadas se borran a los {} días, el valor predeterminado"
    ),
    "write to privacy.recordings_days for how many days you want to keep them": (
        "escriba en privacy.recordings_days cuántos días quiere conservarlas"
    ),
    "CloudTalk has deleted the recording": "CloudTalk ha borrado la grabación",
    "CloudTalk does not have the recording": "CloudTalk no tiene la grabación",
    "CloudTalk refused access with the status {}": "CloudTalk denegó el acceso con el estado {}",
    "CloudTalk accepts no more requests for now": "CloudTalk no acepta más peticiones por ahora",
    "CloudTalk answered with the status {}": "CloudTalk respondió con el estado {}",
    "the store returned other bytes than it was given": "el almacén devolvió otros bytes que los escritos",
    "the link to the recording is no URL": "el enlace a la grabación no es una URL",
    "the recording is at {}, which recordings.allowed_hosts does not list": (
        "la grabación está en {}, que no figura en recordings.allowed_hosts"
    ),
    "the link to the recording at {} is not https": "el enlace a la grabación en {} no es https",
    # --- a test call ------------------------------------------------------------------------------
    "no answer within {} s": "sin respuesta en {} s",
    # --- alerts -----------------------------------------------------------------------------------
    "set alerts.webhook_url to an address of the public internet, or alerts.allow_private = true if the"
    " receiver is in your own network": (
        "ponga en alerts.webhook_url una dirección de internet pública, o alerts.allow_private = true si el"
        " receptor está en su propia red"
    ),
    "check that alerts.webhook_url is right, that the receiver runs and, with https, that its certificate is"
    " valid": (
        "compruebe que alerts.webhook_url es correcta, que el receptor está en marcha y, con https, que su"
        " certificado es válido"
    ),
    "the receiver of alerts answered {}": "el receptor de alertas respondió {}",
    "set alerts.webhook_url to the receiver's present URL": (
        "ponga en alerts.webhook_url la URL actual del receptor"
    ),
    "{} resolves to {}, which is not public": "{} lleva a {}, que no es una dirección pública",
    "{} did not answer within {} s": "{} no respondió en {} s",
    "{} cannot be reached: {}": "no se puede llegar a {}: {}",
}
