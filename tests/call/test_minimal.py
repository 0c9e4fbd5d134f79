"""The record of a forgotten call has what a CRM client needs, and nothing else."""

import msgspec

from relay.call import Status, minimal_call
from tests.support.samples import make_call


def test_only_the_id_the_version_and_the_named_attributes_are_kept() -> None:
    call = make_call(3, contact_name="Ana", external_number="+34612345678", direction="inbound")
    known = minimal_call("cloudtalk-1", version=7, of=call, fields=["external_number", "direction"])
    values = {name: value for name, value in msgspec.structs.asdict(known).items() if value}
    assert values == {
        "id": "cloudtalk-1",
        "version": 7,
        "status": Status.IN_PROGRESS,
        "external_number": "+34612345678",
        "direction": "inbound",
    }
    assert msgspec.json.decode(msgspec.json.encode(known), type=type(call)) == known


def test_of_an_unknown_call_there_is_the_id() -> None:
    known = minimal_call("cloudtalk-1", version=7, fields=["external_number"])
    assert (known.id, known.version, known.external_number, known.tags) == ("cloudtalk-1", 7, None, [])
