"""What `check` finds in a Supabase project."""

from typing import Final

TEXTS: Final = {
    "Supabase answered {}: {}": "Supabase respondió {}: {}",
    "Supabase answered {}: {}.": "Supabase respondió {}: {}.",
    "the key was refused": "se rechazó la clave",
    "the project is over its quota": "el proyecto superó su cuota",
    "there is no such table or address": "no existe esa tabla o dirección",
    "the request is too large": "la petición es demasiado grande",
    "too many requests": "demasiadas peticiones",
    "the project is paused": "el proyecto está en pausa",
    "no explanation was given": "sin explicación",
    "{} cannot be reached.": "no se puede llegar a {}.",
    "the response is not one to {}, so this is not a Supabase REST API": (
        "la respuesta no corresponde a {}, así que esto no es una API REST de Supabase"
    ),
    "The role {} lacks DELETE on the table {}, so the records of merged calls cannot be deleted.": (
        "Al rol {} le falta DELETE en la tabla {}, así que no se pueden borrar los registros de llamadas"
        " unidas."
    ),
    "The table {} lacks the column {}.": "A la tabla {} le falta la columna {}.",
    "The table {} lacks the columns {}.": "A la tabla {} le faltan las columnas {}.",
    "The role {} lacks {} on the table {} ({}).": "Al rol {} le falta {} en la tabla {} ({}).",
    "There is no table {} in the API of {}.": "No hay ninguna tabla {} en la API de {}.",
    "The API of {} does not expose the schema {}: {}.": "La API de {} no publica el esquema {}: {}.",
    "The column {} of {} is not jsonb: {}.": "La columna {} de {} no es jsonb: {}.",
    "The column {} of {} is neither the primary key nor unique, or its constraint is deferrable, which an"
    " upsert cannot use.": (
        "La columna {} de {} no es clave primaria ni única, o su restricción es aplazable (deferrable), que"
        " un upsert no puede usar."
    ),
    "Copy the secret key (sb_secret_…) of this project from Supabase, Project Settings, API Keys, into the"
    " setting key of {}, and check that url is of the same project.": (
        "Copie la clave secreta (sb_secret_…) de este proyecto de Supabase (Project Settings, API Keys) en el"
        " ajuste key de {}, y compruebe que url es del mismo proyecto."
    ),
    "If the name is right, create the table: {} Otherwise correct the setting table of {}.": (
        "Si el nombre es correcto, cree la tabla: {} Si no, corrija el ajuste table de {}."
    ),
    "Add {} in Supabase under Project Settings, Data API, Exposed schemas, or correct the setting schema of"
    " {}.": (
        "Añada {} en Supabase en Project Settings, Data API, Exposed schemas, o corrija el ajuste schema de"
        " {}."
    ),
    "{} It adds what is missing and does not change your columns.": (
        "{} Añade lo que falta y no cambia sus columnas."
    ),
    "Remove rows with duplicate values in it, then run in Supabase's SQL editor: {}": (
        "Elimine las filas con valores repetidos en ella y ejecute en el editor SQL de Supabase: {}"
    ),
    "Check that the setting url of {} is the project's (https://….supabase.co), that the project is neither"
    " paused nor deleted, and that this machine can reach it.": (
        "Compruebe que el ajuste url de {} es el del proyecto (https://….supabase.co), que el proyecto no"
        " está en pausa ni eliminado y que esta máquina llega a él."
    ),
    "Run in Supabase's SQL editor: {}": "Ejecute en el editor SQL de Supabase: {}",
    "{}Run in Supabase's SQL editor: {}": "{}Ejecute en el editor SQL de Supabase: {}",
    "{} Or: {}": "{} O bien: {}",
    "Grant the role {} in Supabase's SQL editor what the message names.": (
        "Conceda al rol {}, en el editor SQL de Supabase, lo que indica el mensaje."
    ),
    "Wait, or set a lower rate in {}.": "Espere o ponga un valor de rate menor en {}.",
    "Raise the plan or the spend cap in Supabase. Meanwhile no call is lost.": (
        "Amplíe el plan o el límite de gasto en Supabase. Mientras tanto no se pierde ninguna llamada."
    ),
    "Restore the project in Supabase's dashboard. Meanwhile no call is lost.": (
        "Restaure el proyecto en el panel de Supabase. Mientras tanto no se pierde ninguna llamada."
    ),
    "Set url of {} to the project's own address (https://….supabase.co).": (
        "Ponga en url de {} la dirección del propio proyecto (https://….supabase.co)."
    ),
    "The role {} may not use the {} {}, which the table {} needs ({}).": (
        "El rol {} no puede usar {} {}, que la tabla {} necesita ({})."
    ),
    "If a view or a function uses it with the rights of its owner, grant it to this owner; otherwise run in"
    " Supabase's SQL editor: {}": (
        "Si una vista o una función lo usa con los permisos de su propietario, concédalo a ese propietario;"
        " si no, ejecute en el editor SQL de Supabase: {}"
    ),
    "The key belongs to the role {}, which is for browsers. Put the project's secret key (sb_secret_…) or"
    " legacy service_role key into the setting key of [destinations.{}].": (
        "La clave es del rol {}, que es para navegadores. Ponga la clave secreta del proyecto (sb_secret_…) o"
        " la antigua clave service_role en el ajuste key de [destinations.{}]."
    ),
    "Run the SQL of `relay setup {} --print` in {}.": "Ejecute el SQL de `relay setup {} --print` en {}.",
    "Supabase's SQL editor ({})": "el editor SQL de Supabase ({})",
    "Supabase's SQL editor": "el editor SQL de Supabase",
    "Columns of the table {} cannot store the values of a call: {}.": (
        "Hay columnas de la tabla {} que no pueden guardar los valores de una llamada: {}."
    ),
    "The database generates values of the table {} that the relay has to write: {}.": (
        "La base de datos genera valores de la tabla {} que el relay tiene que escribir: {}."
    ),
    "The table {} refuses some long values, and calls that have them become dead letters: {}.": (
        "La tabla {} rechaza algunos valores largos, y las llamadas que los tienen no se entregan: {}."
    ),
    "Change the constraint or the trigger that the message names.": (
        "Cambie la restricción o el trigger que indica el mensaje."
    ),
    "Set {} in {}. {} It adds the columns.": "Ponga {} en {}. {} Añade las columnas.",
    "Correct {} in {}.": "Corrija {} en {}.",
    "Set {} in {}. {} It adds the columns. {}": "Ponga {} en {}. {} Añade las columnas. {}",
    "The column {} of {} must not be null, and nothing fills it.": (
        "La columna {} de {} no admite null y nada la rellena."
    ),
    "The role {} cannot use a sequence of {} ({}).": "El rol {} no puede usar una secuencia de {} ({}).",
    "Row level security of {} refuses calls of the role {} ({}).": (
        "La seguridad por filas (RLS) de {} rechaza llamadas del rol {} ({})."
    ),
    "A trigger of {} discards rows, so calls would disappear without an error.": (
        "Un trigger de {} descarta filas, así que las llamadas desaparecerían sin ningún error."
    ),
    "Calls in {} need rows of another table, which the relay does not write: {}.": (
        "Las llamadas de {} necesitan filas de otra tabla, que el relay no escribe: {}."
    ),
    "The table {} refuses a sample of a call: {}.": "La tabla {} rechaza una llamada de muestra: {}.",
    "Set constants.{} in {} to its value, or allow null. {}": (
        "Ponga en constants.{} de {} su valor, o admita null. {}"
    ),
    "Drop the constraint that the message names, or keep the other table complete. Calls without such a row"
    " become dead letters. {}": (
        "Elimine la restricción que indica el mensaje o mantenga completa la otra tabla. Las llamadas sin esa"
        " fila no se entregan. {}"
    ),
    'A field that is "" under fields in {} is not written.': (
        'Un campo que sea "" en fields de {} no se escribe.'
    ),
    "Change the trigger in Supabase under Database, Triggers, so that it returns the row.": (
        "Cambie el trigger en Supabase, en Database, Triggers, para que devuelva la fila."
    ),
    "Such calls become dead letters. Change the constraint or the trigger that the message names, or choose"
    " other labels, fields or constants in {}.": (
        "Esas llamadas no se entregan. Cambie la restricción o el trigger que indica el mensaje, o elija"
        " otros valores de labels, fields o constants en {}."
    ),
    "These columns of {} must not be null, and not every call has a value for them: {}.": (
        "Estas columnas de {} no admiten null, y no todas las llamadas tienen un valor para ellas: {}."
    ),
    "The table {} refuses calls with the status {}: {}.": (
        "La tabla {} rechaza llamadas con el estado {}: {}."
    ),
    "The table {} refuses calls with the direction {}: {}.": (
        "La tabla {} rechaza llamadas con la dirección {}: {}."
    ),
    "{} Or set {} in {} to texts that the column accepts.{}": (
        "{} O ponga en {} de {} textos que la columna acepte.{}"
    ),
    "This matters only if cloudtalk.forward_internal is true. {}": (
        "Solo importa si cloudtalk.forward_internal es true. {}"
    ),
    "Change the constraint or the trigger that the message names, so that it accepts them.{}": (
        "Cambie la restricción o el trigger que indica el mensaje para que los acepte.{}"
    ),
    '{} Or set {} in {} to another column, or to "".': '{} O ponga en {} de {} otra columna, o "".',
    ' Or set {} in {} to another column, or to "".': ' O ponga en {} de {} otra columna, o "".',
}
