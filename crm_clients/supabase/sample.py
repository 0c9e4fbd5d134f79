"""A call with a value in every field, to find out whether a table could store calls. It is never stored."""

from typing import Final

from relay.call import Call, Status

SAMPLE_CALL: Final = Call(
    id="cloudtalk-00000000-0000-0000-0000-000000000000",
    call_id="1002402487",
    call_uuid="00000000-0000-0000-0000-000000000000",
    direction="inbound",
    status=Status.COMPLETED,
    from_="+34600000000",
    to="+34910000000",
    external_number="+34600000000",
    internal_number="+34910000000",
    contact_id="1451646073",
    contact_name="CloudTalk Relay",
    agent_id="493933",
    agent_name="CloudTalk Relay",
    agent_email="relay@example.com",
    started_at="2024-01-15T10:00:00Z",
    answered_at="2024-01-15T10:00:07Z",
    ended_at="2024-01-15T10:01:08.250Z",
    response_seconds=7,
    duration_seconds=68,
    talking_seconds=61,
    waiting_seconds=7,
    wrapup_seconds=5,
    recording_url="https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw%3D%3D/sample.wav",
    tags=["check"],
    notes="A sample of CloudTalk Relay",
    transcript="A sample of CloudTalk Relay",
    summary="A sample of CloudTalk Relay",
    follow_up=False,
    version=1,
    cloudtalk_data={"call_id": 1002402487},
    merged_into="cloudtalk-00000000-0000-0000-0000-000000000001",
)
