"""What `check` finds in a HubSpot account."""

from typing import Final

TEXTS: Final = {
    "The property {} of {} is not unique: records would be duplicated.": (
        "La propiedad {} de {} no es única: los registros se duplicarían."
    ),
    "Delete it in HubSpot (Settings, Properties) and run `relay setup {}`.": (
        "Elimínela en HubSpot (Configuración, Propiedades) y ejecute `relay setup {}`."
    ),
    "Run `relay setup {}`.": "Ejecute `relay setup {}`.",
    "Create it in HubSpot (Settings, Properties), or correct [destinations.{}].": (
        "Créela en HubSpot (Configuración, Propiedades) o corrija [destinations.{}]."
    ),
    "{} have no property {}.": "A {} les falta la propiedad {}.",
    "Correct default_owner in [destinations.{}]: an active user's e-mail address or owner id.": (
        "Corrija default_owner en [destinations.{}]: el correo o el id de propietario de un usuario activo."
    ),
    "HubSpot has no owner {}.": "En HubSpot no hay ningún propietario {}.",
    "Copy the service key from HubSpot (Development, Keys, Service keys) into the setting token of"
    " [destinations.{}].": (
        "Copie la clave de servicio de HubSpot (Desarrollo, Claves, Claves de servicio) en el ajuste token de"
        " [destinations.{}]."
    ),
    "Add the scope {} to the service key in HubSpot.": (
        "Añada el permiso {} a la clave de servicio en HubSpot."
    ),
    "Correct in the HubSpot account what the message names, as a limit or a suspension.": (
        "Corrija en la cuenta de HubSpot lo que indica el mensaje, como un límite o una suspensión."
    ),
    "Wait until HubSpot's limit is reset, a daily limit at midnight. No call is lost.": (
        "Espere a que se restablezca el límite de HubSpot; si es diario, a medianoche. No se pierde ninguna"
        " llamada."
    ),
    "Check that this machine reaches base_url of [destinations.{}].": (
        "Compruebe que esta máquina llega a base_url de [destinations.{}]."
    ),
    "Check base_url and api_version of [destinations.{}].": (
        "Compruebe base_url y api_version de [destinations.{}]."
    ),
    "HubSpot gave an unexpected answer.": "HubSpot dio una respuesta inesperada.",
    "HubSpot answered {}: {}": "HubSpot respondió {}: {}",
    "The service key lacks the scope {}. {}": "A la clave de servicio le falta el permiso {}. {}",
    "The answer to {} is not what HubSpot's API promises: {}.": (
        "La respuesta a {} no es la que promete la API de HubSpot: {}."
    ),
    "The answer to POST {} has fewer results than it counts.": (
        "La respuesta a POST {} tiene menos resultados de los que cuenta."
    ),
}
