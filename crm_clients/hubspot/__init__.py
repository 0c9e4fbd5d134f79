"""The HubSpot client: calls on the contact's timeline, and a follow-up task for each missed call.

Import from here: HubSpotClient, HubSpotSettings. `client.py` gives the order of the steps.
"""

from crm_clients.hubspot.client import HubSpotClient as HubSpotClient
from crm_clients.hubspot.settings import HubSpotSettings as HubSpotSettings

__all__ = ["HubSpotClient", "HubSpotSettings"]
