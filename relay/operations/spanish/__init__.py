"""The catalogue of `relay.operations.translation`: English template → Spanish template.

`{}` is a value. A Spanish template that needs another order numbers them: `{1} … {0}`.
"""

from typing import Final

from relay.operations.spanish import bodies, clients, hubspot, relay_itself, supabase

CATALOGUE: Final = {
    **bodies.TEXTS,
    **clients.TEXTS,
    **hubspot.TEXTS,
    **relay_itself.TEXTS,
    **supabase.TEXTS,
}
