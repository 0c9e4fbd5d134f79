"""The record that must result from a script, computed from the script alone."""

from datetime import datetime
from typing import Any

from relay.simulator.script import CallScript


def expected_record(script: CallScript) -> dict[str, Any]:
    """Return the record after all events of the call, except its recording and transcript."""
    scenario = script.scenario
    return (
        _ids(script)
        | _people(script)
        | _lengths(script)
        | {
            "direction": scenario.direction,
            "status": scenario.status,
            "started_at": format_utc(script.started_at),
            "recording_url": None,
            "transcript": None,
            "tags": script.tag_edits[-1][1].split(",") if script.tag_edits else [],
            "follow_up": scenario.follow_up,
        }
    )


def _ids(script: CallScript) -> dict[str, Any]:
    return {
        "id": f"cloudtalk-{script.uuid}",
        "call_id": str(script.call_id) if script.scenario.ended else None,
        "call_uuid": script.uuid,
    }


def _people(script: CallScript) -> dict[str, Any]:
    customer, scenario = script.customer, script.scenario
    caller, callee = script.caller_and_callee
    has_contact = not customer.created_during_call or scenario.ended or scenario.answered
    # A call that only rings has no agent yet, even if an agent dialled it.
    agent = script.agent if scenario.ended or scenario.answered else None
    return {
        "from": caller,
        "to": callee,
        "external_number": customer.number,
        "internal_number": script.own_number,
        "contact_id": customer.contact_id if has_contact else None,
        "contact_name": customer.contact_name if has_contact else None,
        "agent_id": str(agent.id) if agent else None,
        "agent_name": agent.name if agent else None,
        "agent_email": agent.email if agent else None,
    }


def _lengths(script: CallScript) -> dict[str, Any]:
    ended = script.scenario.ended
    return {
        "ended_at": format_utc(script.time_at(script.hung_up)) if ended else None,
        "duration_seconds": script.hung_up if ended else None,
        "talking_seconds": script.talking if ended else None,
        "waiting_seconds": script.waiting if ended else None,
        "wrapup_seconds": script.wrapup if ended else None,
    }


def format_utc(moment: datetime) -> str:
    """Format a time in UTC as the record does. The time zone of `moment` must be UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
