"""CloudTalk Relay: one record per CloudTalk call in your CRM, always current."""

from importlib.metadata import version

__version__ = version("cloudtalk-relay")
