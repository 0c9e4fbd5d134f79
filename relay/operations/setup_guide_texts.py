"""The texts of the guide for setting up CloudTalk, in English and Spanish."""

from typing import Final, Literal

import msgspec

Lang = Literal["en", "es"]


class Texts(msgspec.Struct, frozen=True):
    """All texts in one language, in the order of the guide.

    `placeholder` is shown instead of a missing token. `warn_unreachable` has the field `{url}`;
    `signed_steps` have the fields `{url}`, `{events}` and `{setting}`.
    """

    placeholder: str
    warn_unauthorised: str
    warn_unreachable: str
    warn_public_url: str
    signed: str
    signed_steps: tuple[str, ...]
    workflows: str
    workflows_intro: str
    header: str
    key: str
    value: str
    steps: tuple[str, ...]
    headers_intro: str


TEXTS: Final[dict[Lang, Texts]] = {
    "en": Texts(
        placeholder="YOUR_TOKEN",
        warn_unauthorised="Neither cloudtalk.signing_secrets nor cloudtalk.tokens is set, so the relay would "
        "refuse CloudTalk's requests. CloudTalk shows the signing secret when you add the webhook. For the "
        "workflows set a token first (create a good one with: openssl rand -hex 32), restart the relay, and "
        "look at this guide again.",
        warn_unreachable="CloudTalk cannot reach {url}, because only this machine can. First set "
        "server.public_url to the public address of the relay, https://…, and look at this guide again.",
        warn_public_url="server.public_url is {url}. It must begin with https:// and must not contain "
        "{path}, which the relay appends. First correct it, and look at this guide again.",
        signed="Native signed webhooks",
        signed_steps=(
            "In CloudTalk open **Account → Webhooks** and add an endpoint with this URL: `{url}`",
            "Choose these events: {events}",
            (
                "Write the secret that CloudTalk shows, `whsec_…`, to a file that only the relay can read, "
                "such as `secrets/signing-secrets`, name the file in `{setting}`, and restart the relay. "
                "While you replace a secret, the file has the old and the new one, each on its own line."
            ),
            (
                "Send the test event. CloudTalk's delivery log must show the status 200. An event that is "
                "not acknowledged is sent again, up to 8 times within 28 hours. After 5 days of failures "
                "CloudTalk disables the endpoint without a message: after an outage, look at the log."
            ),
        ),
        workflows="Workflow Automations",
        workflows_intro="Signed webhooks are sent after a call. Add these workflows to show calls in "
        "progress, and agents, contacts and tags, or if your account has no signed webhooks. Both may be "
        "active: the relay keeps one record per call, even if it receives an event twice.",
        header="Header",
        key="Key",
        value="Value",
        steps=(
            "In CloudTalk open **Settings → Workflow Automations** and choose **+ Add Workflow**.",
            (
                "Choose the trigger that the heading names: first its object (for example *Call*), then its "
                "action (*Started*). Add no conditions."
            ),
            "Choose **+ Add action → API Request**. Copy the method and the URL (*Endpoint*).",
            "Under *Headers* enter the two headers. They are the same in every workflow.",
            (
                "Under *Values* enter each key exactly as below, with the format *String*. Choose its value "
                "from CloudTalk's list of variables: the variable with the name between the braces. Do not "
                "type the value: CloudTalk would send your text instead of the call's value. If the list "
                "does not offer a variable for this trigger, leave its key out."
            ),
            "Save and activate the workflow. Continue with the next one.",
        ),
        headers_intro="Every request has these two headers:",
    ),
    "es": Texts(
        placeholder="SU_TOKEN",
        warn_unauthorised="No hay nada en cloudtalk.signing_secrets ni en cloudtalk.tokens, así que el relay "
        "rechazaría las peticiones de CloudTalk. CloudTalk muestra el secreto al añadir el webhook. Para los "
        "workflows ponga primero un token (para crear uno bueno: openssl rand -hex 32), reinicie el relay y "
        "vuelva a mirar esta guía.",
        warn_unreachable="CloudTalk no puede llegar a {url}, porque solo esta máquina puede. Primero ponga "
        "en server.public_url la dirección pública del relay, https://…, y vuelva a mirar esta guía.",
        warn_public_url="server.public_url es {url}. Debe empezar por https:// y no debe contener {path}, "
        "que añade el relay. Primero corríjalo y vuelva a mirar esta guía.",
        signed="Webhooks nativos firmados",
        signed_steps=(
            "En CloudTalk abra **Account → Webhooks** y añada un endpoint con esta URL: `{url}`",
            "Elija estos eventos: {events}",
            (
                "Escriba el secreto que muestra CloudTalk, `whsec_…`, en un archivo que solo pueda leer el "
                "relay, como `secrets/signing-secrets`, indique el archivo en `{setting}` y reinicie el "
                "relay. Mientras cambia el secreto, el archivo tiene el viejo y el nuevo, cada uno en su "
                "línea."
            ),
            (
                "Envíe el evento de prueba. El registro de entregas de CloudTalk debe mostrar el estado 200. "
                "Si un evento no se confirma, CloudTalk lo repite hasta 8 veces en 28 horas. Tras 5 días de "
                "fallos desactiva el endpoint sin avisar: después de una avería, mire el registro."
            ),
        ),
        workflows="Workflow Automations",
        workflows_intro="Los webhooks firmados se envían después de la llamada. Añada estos workflows para "
        "ver las llamadas en curso, los agentes, los contactos y las etiquetas, o si su cuenta no tiene "
        "webhooks firmados. Ambos pueden estar activos: el relay guarda un solo registro por llamada, aunque "
        "reciba un evento dos veces.",
        header="Cabecera",
        key="Clave",
        value="Valor",
        steps=(
            "En CloudTalk abra **Settings → Workflow Automations** y elija **+ Add Workflow**.",
            (
                "Elija el disparador (*trigger*) que indica el título: primero el objeto (por ejemplo, "
                "*Call*) y luego la acción (*Started*). No añada condiciones."
            ),
            "Elija **+ Add action → API Request**. Copie el método y la URL (*Endpoint*).",
            "En *Headers* escriba las dos cabeceras. Son las mismas en todos los workflows.",
            (
                "En *Values* escriba cada clave exactamente como está abajo, con el formato *String*. Elija "
                "su valor en la lista de variables de CloudTalk: la variable con el nombre que está entre "
                "las llaves. No escriba el valor a mano: CloudTalk enviaría su texto en lugar del valor de "
                "la llamada. Si la lista no ofrece una variable para ese disparador, omita su clave."
            ),
            "Guarde y active el workflow. Continúe con el siguiente.",
        ),
        headers_intro="Todas las peticiones llevan estas dos cabeceras:",
    ),
}
