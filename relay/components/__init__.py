"""The components of a process, built from the settings: `Ingest` is step 1, `Delivery` steps 2 and 3.

`relay.app` connects them.
"""

from relay.components.delivery import Delivery
from relay.components.ingest import Ingest, build_authenticator

__all__ = ["Delivery", "Ingest", "build_authenticator"]
