"""The parser of request bodies, as the settings want it."""

from zoneinfo import ZoneInfo

from relay.cloudtalk.parser import Parser
from relay.settings import CloudTalk


def build_parser(cloudtalk: CloudTalk) -> Parser:
    """Build the parser of request bodies."""
    return Parser(
        ZoneInfo(cloudtalk.timezone),
        cloudtalk.default_region,
        cloudtalk.own_numbers,
        cloudtalk.paths,
        cloudtalk.webhook_path,
        cloudtalk.company_ids,
    )
