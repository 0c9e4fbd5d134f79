"""Limits of concurrent requests and of the bytes in their bodies."""

import pytest

from relay.ingest.limits import AdmissionControl, Overloaded


def test_the_number_of_requests_is_limited_and_each_permit_is_returned() -> None:
    admission_control = AdmissionControl(max_requests=2, max_bytes=10)
    full = pytest.raises(Overloaded, match="too many concurrent requests")
    with (
        admission_control.admit(authenticated=True),
        admission_control.admit(authenticated=True),
        full,
        admission_control.admit(authenticated=True),
    ):
        pass
    with admission_control.admit(authenticated=True), admission_control.admit(authenticated=True):
        pass


def test_unauthenticated_requests_get_a_quarter_of_the_capacity() -> None:
    admission_control = AdmissionControl(max_requests=8, max_bytes=10)
    with admission_control.admit(authenticated=False), admission_control.admit(authenticated=False):
        with (
            pytest.raises(Overloaded, match="without authentication"),
            admission_control.admit(authenticated=False),
        ):
            pass
        with admission_control.admit(authenticated=True):
            pass


def test_the_bytes_of_all_bodies_together_are_limited() -> None:
    admission_control = AdmissionControl(max_requests=9, max_bytes=10)
    with admission_control.admit(authenticated=True) as one:
        one.reserve(6)
        with pytest.raises(Overloaded, match="bytes"), admission_control.admit(authenticated=True) as other:
            other.reserve(5)
        with admission_control.admit(authenticated=True) as third:
            third.reserve(4)
    with admission_control.admit(authenticated=True) as alone:
        alone.reserve(10)
