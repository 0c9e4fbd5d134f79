"""CloudTalk Relay: one record per CloudTalk call in your CRM, right at any moment."""

from importlib.metadata import version

__version__ = version("cloudtalk-relay")
