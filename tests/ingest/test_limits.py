"""How much may be under way at once, and who keeps whom out."""

import pytest

from relay.ingest.limits import Admission, Overloaded


def test_there_are_so_many_places_and_each_is_given_back() -> None:
    admission = Admission(requests=2, held_bytes=10)
    full = pytest.raises(Overloaded, match="too many requests")
    with admission.place(proven=True), admission.place(proven=True), full, admission.place(proven=True):
        pass
    with admission.place(proven=True), admission.place(proven=True):
        pass


def test_strangers_hold_a_quarter_of_the_places_and_keep_nobody_out() -> None:
    admission = Admission(requests=8, held_bytes=10)
    with admission.place(proven=False), admission.place(proven=False):
        with pytest.raises(Overloaded, match="do not prove"), admission.place(proven=False):
            pass
        with admission.place(proven=True):
            pass


def test_the_bytes_of_all_bodies_together_are_bounded() -> None:
    admission = Admission(requests=9, held_bytes=10)
    with admission.place(proven=True) as one:
        one.hold(6)
        with pytest.raises(Overloaded, match="bytes"), admission.place(proven=True) as other:
            other.hold(5)
        with admission.place(proven=True) as third:
            third.hold(4)
    with admission.place(proven=True) as alone:
        alone.hold(10)
