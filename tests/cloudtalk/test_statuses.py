"""How a call ended, in the words of telephone systems and of several languages."""

import pytest

from relay.cloudtalk import statuses
from relay.cloudtalk.errors import UnknownStatus
from relay.cloudtalk.statuses import parse_call_status


@pytest.mark.parametrize(
    "word",
    [
        *("not_answered", "noanswer", "No Answer", "NO-ANSWER", "NotAnswered", "unanswered", "un-answered"),
        *("call_not_answered", "not picked up", "no-pickup", "never answered", "unsuccessful", "incomplete"),
        *("declined", "rejected", "cancelled", "canceled", "busy", "failed", "timed out", "Abandoned call"),
        *("CONGESTION", "congestión", "CHANUNAVAIL", "Not Available", "unavailable", "Agent not available"),
        *("missed_call", "call.missed", "refused", "unreachable", "no response"),
        *(
            "user_busy",
            "Busy Line",
            "LineBusy",
            "ABANDONED_IN_QUEUE",
            "abandonedInQueue",
            "CALL_REJECTED (21)",
        ),
        *(
            "disconnected_before_answer",
            "hung up before being answered",
            "NO_USER_RESPONSE",
            "failed: timeout",
        ),
        *("No agent answered", "nobody picked up", "Didn't answer", "didn\u2019t answer", "Wasn't answered"),
        *(
            "No contestada",
            "NO CONTESTO",
            "No contest\u00f3",
            "Perdida",
            "llamada perdida",
            "l\u00ednea ocupada",
        ),
        *("Sin respuesta", "no atendida", "abandonada antes de contestar", "Rechazado", "desatendida"),
        *("missed no", "foglaltak", "missed: unknown"),
        *("missed, no agent completed it", "ORIGINATOR_CANCEL", "false"),
        *("Verpasst", "verpa\u00dfter Anruf", "Entgangen", "Besetzt", "unbeantwortet", "Keine Antwort"),
        *("Nicht angenommen", "Teilnehmer nicht erreichbar", "ANRUF_ABGELEHNT", "vor Annahme abgebrochen"),
        *(
            "Appel manqu\u00e9",
            "Occup\u00e9e",
            "Sans r\u00e9ponse",
            "Non d\u00e9croch\u00e9",
            "appel refus\u00e9",
            "Injoignable",
        ),
        *(
            "Personne n\u2019a r\u00e9pondu",
            "Chiamata persa",
            "Non risposto",
            "Mancata risposta",
            "Occupato",
            "Rifiutata",
        ),
        *(
            "N\u00e3o atendida",
            "Chamada perdida",
            "Recusada",
            "Sem resposta",
            "Cancelada",
            "Ningu\u00e9m atendeu",
        ),
        *("Gemist", "Niet opgenomen", "onbeantwoord", "In gesprek: bezet", "Geen antwoord"),
        *(
            "Nieodebrane po\u0142\u0105czenie",
            "Zaj\u0119ty",
            "Brak odpowiedzi",
            "Odrzucone",
            "nikt nie odebra\u0142",
        ),
        *(
            "Zme\u0161kan\u00fd hovor",
            "Nezdvihnut\u00e9",
            "obsazeno",
            "Neprijat\u00fd",
            "Apel ratat",
            "Nu a r\u0103spuns",
        ),
        *("Missat samtal", "Ikke besvart", "ubesvaret", "Opptatt", "Nem fogadott", "Ocupado", "Abandonadas"),
    ],
)
def test_every_word_for_a_call_that_nobody_answered_is_missed(word: str) -> None:
    assert parse_call_status(word) == "missed"


@pytest.mark.parametrize(
    "word",
    [
        *("Answered", "call_completed", "picked-up", "ACCEPTED", "connected", "AnsweredByAgent", "true"),
        *(
            "Angenommen",
            "beantwortet",
            "R\u00e9pondu",
            "d\u00e9croch\u00e9e",
            "Risposta",
            "Atendida",
            "Opgenomen",
        ),
        *("Odebrane", "zdvihnut\u00fd", "Besvarat", "Preluat", "conclu\u00edda", "Entgegengenommener Anruf"),
        *("picked up later", "aceita", "callanswered", "answeredcall"),
        *("answered, not recorded", "Completada", "Contestada", "llamada atendida", "answered in queue"),
    ],
)
def test_every_word_for_a_conversation_is_answered(word: str) -> None:
    assert parse_call_status(word) == "answered"


@pytest.mark.parametrize(
    "word",
    [
        "voice mail",
        "voice_mail",
        "VoiceMail",
        "no answer (voicemail)",
        "Buz\u00f3n de voz",
        "answered by voicemail",
        "Anrufbeantworter",
        "nicht angenommen (Mailbox)",
        "Messagerie vocale",
        "Segreteria telefonica",
        "Correio de voz",
        "Poczta g\u0142osowa",
    ],
)
def test_voicemail_is_read_in_any_form(word: str) -> None:
    assert parse_call_status(word) == "voicemail"


@pytest.mark.parametrize(
    "word",
    [
        *(
            "not missed",
            "no",
            "un",
            "call",
            "in",
            "nothing",
            "notable",
            "7",
            "ended",
            "transferred",
            "personal",
        ),
        *("prise", "busyx", "pickupxyz", "up picked"),
        *("nicht verpasst", "Weiterleitung", "trueno", "finalizada", "answering", "\u10d2\u10d0", "x" * 900),
    ],
)
def test_a_word_that_states_no_outcome_is_named_in_the_error(word: str) -> None:
    with pytest.raises(UnknownStatus) as caught:
        parse_call_status(word)
    assert repr(word[:60]) in str(caught.value)


@pytest.mark.parametrize(
    "word",
    [
        "ringing",
        "In Progress",
        "queued",
        "in-progress call",
        "En curso",
        "klingelt",
        "Em andamento",
        None,
        "null",
    ],
)
def test_the_status_of_a_call_in_progress_counts_as_missing(word: str) -> None:
    assert parse_call_status(word) is None


def test_a_boolean_states_whether_the_call_was_answered() -> None:
    assert [parse_call_status(value) for value in (True, False)] == ["answered", "missed"]


@pytest.mark.parametrize(
    "word",
    [
        "new",
        "created",
        "initiated",
        "started",
        "dialing",
        "calling",
        "ringing",
        "queued",
        "waiting",
        "inprogress",
        "ongoing",
        "active",
        "encurso",
        "enprogreso",
        "enespera",
        "sonando",
        "marcando",
        "klingelt",
        "laufend",
        "wartend",
        "encours",
        "incorso",
        "emandamento",
        "emcurso",
        "wtoku",
    ],
)
def test_a_call_in_progress_has_no_status_yet(word: str) -> None:
    assert [parse_call_status(form) for form in (word, f"{word} call", word.upper())] == [None] * 3


@pytest.mark.parametrize(
    "negation",
    [
        "not",
        "no",
        "non",
        "never",
        "without",
        "before",
        "nobody",
        "didnt",
        "wasnt",
        "isnt",
        "sin",
        "antes",
        "nadie",
        "nunca",
        "ningun",
        "ninguna",
        "nicht",
        "kein",
        "keine",
        "keiner",
        "niemand",
        "ohne",
        "vor",
        "pas",
        "sans",
        "aucun",
        "aucune",
        "personne",
        "jamais",
        "avant",
        "senza",
        "nessun",
        "nessuna",
        "nessuno",
        "mai",
        "prima",
        "nao",
        "sem",
        "ninguem",
        "nenhum",
        "nenhuma",
        "niet",
        "geen",
        "zonder",
        "voor",
        "nie",
        "nikt",
        "bez",
        "brak",
        "ne",
        "nem",
        "fara",
        "nu",
        "ikke",
        "ej",
        "inte",
        "utan",
        "uden",
        "ingen",
    ],
)
def test_a_negation_before_an_answer_makes_the_call_a_missed_one(negation: str) -> None:
    assert parse_call_status(f"{negation} 1 agent answered") == "missed"
    assert parse_call_status(f"answered {negation}") == "answered"


@pytest.mark.parametrize("prefix", ["not", "no", "un", "never", "in", "nie", "ne", "on"])
def test_a_negative_prefix_makes_the_call_a_missed_one(prefix: str) -> None:
    assert parse_call_status(f"{prefix}answered") == "missed"
    with pytest.raises(UnknownStatus):
        parse_call_status(f"{prefix}missed")


def test_letters_that_unicode_does_not_decompose_are_read_without_their_strokes() -> None:
    words = statuses._split_words("Połączono, Østre; đak æra CŒUR 'été' straße")
    assert words == ["polaczono", "ostre", "dak", "aera", "coeur", "ete", "strasse"]


WORDS = {
    "answered": "accept accepted available connected completed picked-up reachable responded success"
    " successful aceptada atendida atendió completada contestada exitosa respondida respuesta"
    " abgehoben abgeschlossen angenommen beantwortet entgegengenommen erfolgreich erreichbar"
    " erreicht verbunden abouti accepté décroché joignable pris répondu réponse réussi accettata"
    " completata raggiungibile raggiunto risposta riuscita aceita atendeu completou concluída"
    " respondeu resposta sucesso aangenomen beantwoord bereikbaar geslaagd opgenomen odebrane"
    " odpowiedź połączono prijatý prijmut zdvihnutý zodvihnuté zvednut acceptat preluat răspuns"
    " besvarad besvaret besvart fogadott",
    "missed": "abandoned busy cancel cancelled chanunavail congestion declined fail failed failure ignored"
    " missed occupied offline refused rejected timedout timeout unavailable abandonada cancelada"
    " desatendida fallida ocupado perdida rechazada abgebrochen abgelehnt abgewiesen besetzt"
    " entgangen fehlgeschlagen verpasst abandonné annulé échec échoué manqué occupé rejeté"
    " abbandonata annullata fallita mancata occupato persa perse persi perso rifiutata falha"
    " falhou recusada rejeitada afgebroken afgewezen bezet geannuleerd gemist geweigerd mislukt"
    " anulowane odrzucone porzucone zajęty obsadené obsazeno odmietnuté odmítnut zmeškaný zrušen"
    " anulat ocupat pierdut ratat respins avvist missad missat mistet obesvarad obesvarat optaget"
    " opptatt tapt ubesvar ubesvaret ubesvart upptagen elutasit elutasított foglalt",
    "voicemail": "answering-machine machine mailbox voicemail buzón contestador anrufbeantworter boîte-vocale"
    " messagerie répondeur segreteria caixa-postal correio poczta",
}


@pytest.mark.parametrize(
    ("status", "word"), [(status, word) for status in WORDS for word in WORDS[status].split()]
)
def test_a_word_for_a_status_is_known_in_each_language(status: str, word: str) -> None:
    assert parse_call_status(word) == status
