import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.capacity.queue import Queue

STEP = 60.0
AMOUNTS = st.floats(0, 1e6)
RATES = st.floats(1e-3, 1e5)
STOPS = st.floats(0, 5 * STEP)
STEPS = st.lists(st.tuples(AMOUNTS, STOPS), max_size=30)


@given(STEPS, RATES)
def test_what_arrived_was_served_or_waits(steps: list[tuple[float, float]], rate: float) -> None:
    queue = Queue(STEP)
    served = sum(queue.step(arrived, rate, stopped_for=stop).served for arrived, stop in steps)
    assert served + queue.backlog == pytest.approx(sum(arrived for arrived, _ in steps), abs=1e-6)


@given(STEPS, RATES)
def test_nothing_is_served_before_it_arrived_or_faster_than_the_rate(
    steps: list[tuple[float, float]], rate: float
) -> None:
    queue = Queue(STEP)
    for arrived, stop in steps:
        available = queue.backlog + arrived
        step = queue.step(arrived, rate, stopped_for=stop)
        assert step.wait >= max(stop - STEP / 2, 0.0)
        assert 0 <= step.served <= min(available, rate * max(STEP - stop, 0.0))
        assert queue.backlog >= 0


@given(STEPS, RATES, st.floats(1, 10))
def test_a_higher_rate_never_makes_it_slower(
    steps: list[tuple[float, float]], rate: float, factor: float
) -> None:
    slow, fast = Queue(STEP), Queue(STEP)
    for arrived, stop in steps:
        slow_step = slow.step(arrived, rate, stopped_for=stop)
        fast_step = fast.step(arrived, rate * factor, stopped_for=stop)
        assert fast.backlog <= slow.backlog * (1 + 1e-9) + 1e-6
        assert fast_step.wait <= slow_step.wait * (1 + 1e-9) + 1e-6


def test_a_backlog_drains_at_the_rate_minus_the_arrivals() -> None:
    queue = Queue(STEP)
    assert queue.step(1_200, 10, stopped_for=STEP) == (0.0, 30 + 60)
    assert queue.step(300, 10) == (600.0, (1_200 + 150 - 300) / 10)
    assert queue.backlog == 900.0
    queue.step(0, 10)
    assert queue.step(60, 10) == (360.0, (300 + 30 - 300) / 10)
    assert queue.backlog == 0.0


def test_it_serves_in_the_rest_of_a_step_in_which_a_stop_ends() -> None:
    queue = Queue(STEP)
    assert queue.step(600, 10, stopped_for=45) == (150.0, 15 + 300 / 10)
