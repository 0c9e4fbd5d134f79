"""The texts of the guide for setting up CloudTalk, in English and Spanish."""

from typing import Final, Literal

import msgspec

Lang = Literal["en", "es"]


class Texts(msgspec.Struct, frozen=True):
    """All texts in one language.

    `placeholder` is shown instead of a missing token. `warn_unreachable` has the field `{url}`;
    `signed_steps` have the fields `{url}`, `{events}` and `{setting}`.
    """

    placeholder: str
    warn_unauthorised: str
    warn_unreachable: str
    workflows: str
    header: str
    key: str
    value: str
    steps: tuple[str, ...]
    headers_intro: str
    signed: str
    signed_steps: tuple[str, ...]


TEXTS: Final[dict[Lang, Texts]] = {
    "en": Texts(
        placeholder="YOUR_TOKEN",
        warn_unauthorised="No token is set, so the relay would refuse CloudTalk's requests. Set "
        "cloudtalk.tokens first (create a good token with: openssl rand -hex 32), restart the relay, "
        "and run this command again.",
        warn_unreachable="CloudTalk cannot reach {url}, because only this machine can. First set "
        "server.public_url to the public address of the relay, https://…, and run this command again.",
        workflows="Workflow Automations",
        header="Header",
        key="Key",
        value="Value",
        steps=(
            "In CloudTalk open **Settings → Workflow Automations** and choose **+ Add Workflow**.",
            "Choose the trigger named in the heading: first its object, then its action. Add no conditions.",
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
        signed="Native signed webhooks",
        signed_steps=(
            "If your CloudTalk account offers signed webhooks, add an endpoint with this URL: `{url}`",
            "Choose these events: {events}",
            (
                "Copy the secret that CloudTalk shows, `whsec_…`, to the list `{setting}` in the settings, "
                "and restart the relay. While you change secrets, list the old and the new one."
            ),
            (
                "Workflows and webhooks may both be active: the relay keeps one record per call, even if it "
                "receives an event twice."
            ),
        ),
    ),
    "es": Texts(
        placeholder="TU_TOKEN",
        warn_unauthorised="No hay ningún token, así que el relay rechazaría las peticiones de CloudTalk. "
        "Primero pon uno en cloudtalk.tokens (para crear uno bueno: openssl rand -hex 32), reinicia el "
        "relay y repite este comando.",
        warn_unreachable="CloudTalk no puede llegar a {url}, porque solo esta máquina puede. Primero pon en "
        "server.public_url la dirección pública del relay, https://…, y repite este comando.",
        workflows="Workflow Automations",
        header="Cabecera",
        key="Clave",
        value="Valor",
        steps=(
            "En CloudTalk abre **Settings → Workflow Automations** y elige **+ Add Workflow**.",
            (
                "Elige el disparador (*trigger*) que dice el título: primero el objeto y luego la acción. "
                "No añadas condiciones."
            ),
            "Elige **+ Add action → API Request**. Copia el método y la URL (*Endpoint*).",
            "En *Headers* escribe las dos cabeceras. Son las mismas en todos los workflows.",
            (
                "En *Values* escribe cada clave exactamente como está abajo, con el formato *String*. Elige "
                "su valor en la lista de variables de CloudTalk: la variable con el nombre que está entre "
                "las llaves. No escribas el valor a mano: CloudTalk enviaría tu texto en lugar del valor de "
                "la llamada. Si la lista no ofrece una variable para ese disparador, omite su clave."
            ),
            "Guarda y activa el workflow. Continúa con el siguiente.",
        ),
        headers_intro="Todas las peticiones llevan estas dos cabeceras:",
        signed="Webhooks nativos firmados",
        signed_steps=(
            "Si tu cuenta de CloudTalk ofrece webhooks firmados, añade un endpoint con esta URL: `{url}`",
            "Elige estos eventos: {events}",
            (
                "Copia el secreto que muestra CloudTalk, `whsec_…`, en la lista `{setting}` de la "
                "configuración y reinicia el relay. Mientras cambias de secreto, pon el viejo y el nuevo."
            ),
            (
                "Los workflows y los webhooks pueden estar activos a la vez: el relay guarda un solo "
                "registro por llamada, aunque reciba un evento dos veces."
            ),
        ),
    ),
}
