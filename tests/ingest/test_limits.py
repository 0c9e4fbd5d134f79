"""How much may be under way at once, and who keeps whom out."""

import pytest

from relay.ingest.limits import AdmissionControl, Overloaded


def test_there_are_so_many_places_and_each_is_given_back() -> None:
    admission_control = AdmissionControl(requests=2, held_bytes=10)
    full = pytest.raises(Overloaded, match="too many requests")
    with (
        admission_control.admit(authenticated=True),
        admission_control.admit(authenticated=True),
        full,
        admission_control.admit(authenticated=True),
    ):
        pass
    with admission_control.admit(authenticated=True), admission_control.admit(authenticated=True):
        pass


def test_strangers_hold_a_quarter_of_the_places_and_keep_nobody_out() -> None:
    admission_control = AdmissionControl(requests=8, held_bytes=10)
    with admission_control.admit(authenticated=False), admission_control.admit(authenticated=False):
        with pytest.raises(Overloaded, match="do not prove"), admission_control.admit(authenticated=False):
            pass
        with admission_control.admit(authenticated=True):
            pass


def test_the_bytes_of_all_bodies_together_are_bounded() -> None:
    admission_control = AdmissionControl(requests=9, held_bytes=10)
    with admission_control.admit(authenticated=True) as one:
        one.hold(6)
        with pytest.raises(Overloaded, match="bytes"), admission_control.admit(authenticated=True) as other:
            other.hold(5)
        with admission_control.admit(authenticated=True) as third:
            third.hold(4)
    with admission_control.admit(authenticated=True) as alone:
        alone.hold(10)
