"""HubSpot: calls as engagements on the contact's timeline, and tasks for those that nobody answered."""

from crm_clients.hubspot.client import HubSpotClient as HubSpotClient
from crm_clients.hubspot.settings import HubSpotSettings as HubSpotSettings

__all__ = ["HubSpotClient", "HubSpotSettings"]
