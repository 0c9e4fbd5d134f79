"""Texts of the set-up."""

from typing import Final

import msgspec


class SetUpTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the set-up. Some names end with the state or the action that they are about."""

    try_title: str
    check: str
    check_lead: str
    check_button: str
    checking: str
    check_good: str
    check_bad: str
    answers: str
    test: str
    test_lead: str
    test_button: str
    test_good: str
    test_bad: str
    busy: str
    running: str
    state_running: str
    state_good: str
    state_warning: str
    state_failed: str
    back: str
    destinations: str
    not_served: str
    no_destination: str
    pause: str
    pause_question: str
    resume: str
    probe: str
    done_pause: str
    done_resume: str
    done_probe: str
    cloudtalk: str
    token_hidden: str
    settings: str
    settings_lead: str
    hidden: str
    empty: str
    defaults: str


ENGLISH: Final = SetUpTexts(
    try_title="Does everything work?",
    check="Check",
    check_lead="Tests the settings, the ledger and each CRM. It writes nothing.",
    check_button="Run the check",
    checking="Settings, ledger and CRMs are tested …",
    check_good="Nothing failed.",
    check_bad="Correct what failed, and check again.",
    answers="The CRM answers, and is set up for the relay.",
    test="Test call",
    test_lead="Sends a test call like CloudTalk, follows it into each CRM, and removes it again. It has no telephone "
    "number, so no contact is created.",
    test_button="Send a test call",
    test_good="The test is over: calls of CloudTalk arrive in the CRMs.",
    test_bad="The test is over. Correct what failed, and test again.",
    busy="Another test call is under way. Wait a minute, and try again.",
    running="Under way",
    state_running="Under way",
    state_good="Good",
    state_warning="Note",
    state_failed="Failed",
    back="Set-up",
    destinations="CRMs",
    not_served="No relay has served this destination yet.",
    no_destination="The settings have no destination: calls are stored and delivered nowhere.",
    pause="Pause",
    pause_question="Nothing is sent until somebody resumes it. Calls wait and are not lost.",
    resume="Resume",
    probe="Try now",
    done_pause="{name} is paused. Its calls wait until somebody resumes it.",
    done_resume="{name} is resumed.",
    done_probe="{name} is tried now with one call.",
    cloudtalk="What to enter in CloudTalk",
    token_hidden="Enter a token of cloudtalk.tokens instead of YOUR_TOKEN. `relay cloudtalk-setup` prints it.",
    settings="Settings",
    settings_lead="As the relay uses them now, each with the file or the variable that sets it. They are changed there, not here.",
    hidden="hidden: {number}",
    empty="empty",
    defaults="Keys that are not set, with their defaults",
)
SPANISH: Final = SetUpTexts(
    try_title="¿Funciona todo?",
    check="Comprobación",
    check_lead="Comprueba la configuración, el ledger y cada CRM. No escribe nada.",
    check_button="Comprobar",
    checking="Se comprueban la configuración, el ledger y los CRM …",
    check_good="Nada ha fallado.",
    check_bad="Corrija lo que ha fallado y vuelva a comprobar.",
    answers="El CRM responde y está preparado para el relay.",
    test="Llamada de prueba",
    test_lead="Envía una llamada de prueba como CloudTalk, la sigue hasta cada CRM y la elimina. No tiene número de "
    "teléfono, así que no se crea ningún contacto.",
    test_button="Enviar una llamada de prueba",
    test_good="La prueba ha terminado: las llamadas de CloudTalk llegan a los CRM.",
    test_bad="La prueba ha terminado. Corrija lo que ha fallado y repítala.",
    busy="Ya hay otra llamada de prueba en curso. Espere un minuto y vuelva a intentarlo.",
    running="En curso",
    state_running="En curso",
    state_good="Bien",
    state_warning="Aviso",
    state_failed="Fallo",
    back="Configuración",
    destinations="CRM",
    not_served="Ningún relay ha atendido aún este destino.",
    no_destination="La configuración no tiene ningún destino: las llamadas se guardan y no se entregan.",
    pause="Pausar",
    pause_question="No se envía nada hasta que alguien lo reanude. Las llamadas esperan y no se pierden.",
    resume="Reanudar",
    probe="Probar ahora",
    done_pause="{name} está en pausa. Sus llamadas esperan hasta que alguien lo reanude.",
    done_resume="{name} se ha reanudado.",
    done_probe="{name} se prueba ahora con una llamada.",
    cloudtalk="Qué introducir en CloudTalk",
    token_hidden="Escriba un token de cloudtalk.tokens en lugar de SU_TOKEN. `relay cloudtalk-setup` lo muestra.",
    settings="Ajustes",
    settings_lead="Tal como los usa ahora el relay, cada uno con el archivo o la variable que lo define. Se cambian allí, no aquí.",
    hidden="ocultos: {number}",
    empty="vacío",
    defaults="Claves sin definir, con su valor por defecto",
)
