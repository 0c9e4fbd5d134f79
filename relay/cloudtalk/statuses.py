"""Parse the status of a call: how it ended, in the words of any telephone system and of several languages.

A status may be a word or a sentence, such as `No Answer`, `ABANDONED_IN_QUEUE` or `Nicht angenommen`.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from relay.cloudtalk.errors import UnknownStatus
from relay.cloudtalk.values import parse_text

_ANSWERED_WORDS: Final = (
    "answer accept available connected complete completed pickedup pickup reachable respond response"
    " success successful true"  # English
    " aceptad atendid atendio completad contest contestad exitos respondid respuesta"  # Spanish
    " abgehoben abgeschlossen angenommen antwort beantwortet entgegengenommen erfolgreich erreichbar erreicht"
    " verbunden"  # German
    " abouti accepte decroch joignable pris repondu reponse reussi"  # French
    " accettat completat raggiungibil raggiunt risposta risposto riuscit"  # Italian
    " aceit atendeu completou concluid respondeu resposta sucesso"  # Portuguese
    " aangenomen antwoord beantwoord bereikbaar geslaagd opgenomen"  # Dutch
    " odebra odpowiedz polaczono"  # Polish
    " prijat prijmut zdvihnut zodvihnut zvednut"  # Czech and Slovak
    " acceptat preluat raspuns"  # Romanian
    " besvar besvarad besvaret besvart"  # Danish, Norwegian, Swedish
    " fogadott"  # Hungarian
)
_MISSED_WORDS: Final = (
    "abandon busy cancel cancelled chanunavail congestion declin fail failed failure false ignored missed"
    " occupied offline refus reject timedout timeout unavailable"  # English
    " abandonad cancelad desatendid fallid ocupad perdid rechazad"  # Spanish
    " abgebrochen abgelehnt abgewiesen besetzt entgangen fehlgeschlagen verpasst"  # German
    " abandonne annul echec echou manque occupe rejete"  # French
    " abbandonat annullat fallit mancat occupat persa perse persi perso rifiutat"  # Italian
    " falha falhou recusad rejeitad"  # Portuguese
    " afgebroken afgewezen bezet geannuleerd gemist geweigerd mislukt"  # Dutch
    " anulowan odrzucon porzucon zajet"  # Polish
    " obsaden obsazen odmietnut odmitnut zmeskan zrusen"  # Czech and Slovak
    " anulat ocupat pierdut ratat respins"  # Romanian
    " avvist missad missat mistet obesvarad obesvarat optaget opptatt tapt ubesvar ubesvaret ubesvart"
    " upptagen"  # Danish, Norwegian, Swedish
    " elutasit elutasitott foglalt"  # Hungarian
)
_VOICEMAIL_WORDS: Final = (
    "answeringmachine machine mailbox voicemail"
    " buzon contestador"
    " anrufbeantworter"
    " boitevocale messagerie repondeur"
    " segreteria"
    " caixapostal correio"
    " poczta"
)
_UNDECIDED: Final = frozenset(
    {
        *("new", "created", "initiated", "started", "dialing", "calling", "ringing"),
        *("queued", "waiting", "inprogress", "ongoing", "active"),
        *("encurso", "enprogreso", "enespera", "sonando", "marcando"),
        *("klingelt", "laufend", "wartend", "encours", "incorso", "emandamento", "emcurso", "wtoku"),
    }
)
"""States of a call that is still in progress."""

_STATUSES: Final = {
    **dict.fromkeys(_ANSWERED_WORDS.split(), "answered"),
    **dict.fromkeys(_MISSED_WORDS.split(), "missed"),
    **dict.fromkeys(_VOICEMAIL_WORDS.split(), "voicemail"),
}
"""Words, or their stems, by their letters alone; the word `call` may precede or follow."""

_SHORTEST_STEM: Final = 5
_LONGEST_ENDING: Final = 2
"""A stem of five letters may have an ending of one or two letters: `verpasster`, `perdida`, `perdidas`."""

_PRIORITY: Final = ("voicemail", "missed", "answered")
"""Of several words in one status, such as `no answer (voicemail)`."""
_NEGATIVE_PREFIXES: Final = ("not", "no", "un", "never", "in", "nie", "ne", "on")
_NEGATION_WORDS: Final = (
    "not no non never without before nobody didnt wasnt isnt"  # English
    " sin antes nadie nunca ningun ninguna"  # Spanish
    " nicht kein keine keiner niemand ohne vor"  # German
    " pas sans aucun aucune personne jamais avant"  # French
    " senza nessun nessuna nessuno mai prima"  # Italian
    " nao sem ninguem nenhum nenhuma"  # Portuguese
    " niet geen zonder voor"  # Dutch
    " nie nikt bez brak"  # Polish
    " ne nem fara nu"  # Czech, Hungarian, Romanian
    " ikke ej inte utan uden ingen"  # Danish, Norwegian, Swedish
)
_NEGATIONS: Final = frozenset(_NEGATION_WORDS.split())
"""Before a word for an answered call, at any distance, they make it a missed one."""

_CAPITAL_INSIDE: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_APOSTROPHES: Final = re.compile("['\u2019]")
_LETTERS_WITHOUT_ACCENT: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})
_WORD: Final = re.compile(r"[a-z]+")
_LONGEST_STATUS: Final = 60


def parse_call_status(value: Any) -> str | None:
    """answered, missed or voicemail; None for a call that is still in progress. Raises `UnknownStatus`.

    `No Answer`, `no-answer`, `NOANSWER`, `call_not_answered` and `No contestada` are the same. A boolean is
    the value of `answered`.
    """
    text = parse_text(str(value) if isinstance(value, bool) else value)
    if text is None:
        return None
    status, is_known = _parse_words(text[:_LONGEST_STATUS])
    if not is_known:
        raise UnknownStatus(text[:_LONGEST_STATUS])
    return status


@lru_cache(maxsize=1_000)
def _parse_words(text: str) -> tuple[str | None, bool]:
    """Return the status that a text states, and whether the text is known at all."""
    words = _split_words(text)
    stated = set(_find_statuses(words))
    status = next((status for status in _PRIORITY if status in stated), None)
    return status, status is not None or "".join(words).removesuffix("call") in _UNDECIDED


def _split_words(text: str) -> list[str]:
    """Return the words of a text in lower case, without accents: `UserBusy` has two."""
    spaced = _APOSTROPHES.sub("", _CAPITAL_INSIDE.sub(" ", text))
    decomposed = unicodedata.normalize("NFKD", spaced.casefold().translate(_LETTERS_WITHOUT_ACCENT))
    return _WORD.findall("".join(c for c in decomposed if not unicodedata.combining(c)))


def _find_statuses(words: list[str]) -> Iterator[str]:
    """Yield the status that each word states, or that two words state together: `picked up`."""
    for index, word in enumerate(words):
        pair = word + "".join(words[index + 1 : index + 2])
        status = _status_of_word(word) or _status_of_word(pair)
        if status == "answered" and not _NEGATIONS.isdisjoint(words[:index]):
            yield "missed"
        elif status is not None and (index == 0 or words[index - 1] not in _NEGATIONS):
            yield status


def _status_of_word(word: str) -> str | None:
    word = word.removeprefix("call").removesuffix("call")
    if (status := _status_of_stem(word)) is not None:
        return status
    rests = (word.removeprefix(prefix) for prefix in _NEGATIVE_PREFIXES if word.startswith(prefix))
    return "missed" if any(_status_of_stem(rest) == "answered" for rest in rests) else None


def _status_of_stem(word: str) -> str | None:
    """Return the status of a word or, failing that, of its longest stem."""
    if word in _STATUSES:
        return _STATUSES[word]
    stems = (word[:-length] for length in range(1, _LONGEST_ENDING + 1))
    return next(
        (_STATUSES[stem] for stem in stems if len(stem) >= _SHORTEST_STEM and stem in _STATUSES), None
    )
