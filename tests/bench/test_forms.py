import json
from typing import Any

import forms
import pytest
from forms import Form

ANSWERS = [
    (forms.ROW, {"feature_1": 1.5, "feature_2": 2.0}, {"score": 0.25}),
    (forms.LIST, {"rows": [[1.5, 2.0]]}, [0.25]),
    (forms.V1, {"instances": [[1.5, 2.0]]}, {"predictions": [0.25]}),
]


@pytest.mark.parametrize(("form", "body", "answer"), ANSWERS)
def test_a_row_is_sent_and_its_score_found(form: Form, body: Any, answer: Any) -> None:
    assert json.loads(form.body([1.5, 2.0])) == body
    assert form.is_right(json.dumps(answer).encode(), 0.25)
    assert form.is_right(json.dumps(answer).encode(), 0.250009)
    assert not form.is_right(json.dumps(answer).encode(), 0.2502)


def test_the_second_probability_is_the_score_in_v2() -> None:
    answer = {"outputs": [{"name": "predict_proba", "shape": [1, 2], "data": [0.75, 0.25]}]}
    assert forms.V2.is_right(json.dumps(answer).encode(), 0.25)


@pytest.mark.parametrize("answer", [b"", b"oops", b"{}", b"[]", b'{"score": "x"}', b"null"])
def test_what_is_no_answer_is_wrong(answer: bytes) -> None:
    for form in (forms.ROW, forms.LIST, forms.V1, forms.V2):
        assert not form.is_right(answer, 0.0)
