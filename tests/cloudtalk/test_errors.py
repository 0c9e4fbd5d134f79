"""What the errors of the parser say, and the pointers to the places that they are about."""

import pytest

from relay.cloudtalk.errors import (
    InvalidPayload,
    InvalidValue,
    TooLong,
    UnknownStatus,
    UnrenderedTemplate,
    pointer_step,
)


def test_the_error_of_a_body_has_a_code_a_message_a_place_and_a_status() -> None:
    error = InvalidPayload("too_deep", "nested too deep", "/a")
    assert (error.reason, error.message, error.pointer, error.status) == (
        "too_deep",
        "nested too deep",
        "/a",
        422,
    )
    assert (str(error), error.always_ack) == ("nested too deep", False)
    error = InvalidPayload("not_json", "no JSON", status=400)
    assert (error.pointer, error.status) == ("", 400)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TooLong(), "expected an id of at most 200 characters"),
        (UnknownStatus("it's"), 'unknown status "it\'s"'),
        (UnrenderedTemplate("{{x}}"), "an unrendered {{ … }} variable"),
    ],
)
def test_the_error_of_a_value_says_what_is_wrong(error: InvalidValue, message: str) -> None:
    assert str(error) == message


def test_the_error_of_a_template_has_its_variable() -> None:
    assert UnrenderedTemplate("{{x}}").variable == "{{x}}"


@pytest.mark.parametrize(
    ("key", "step"),
    [("a", "/a"), ("", "/"), ("a/b", "/a~1b"), ("~", "/~0"), ("~1", "/~01"), ("ñ /", "/ñ ~1")],
)
def test_a_key_is_one_step_of_a_pointer(key: str, step: str) -> None:
    assert pointer_step(key) == step
