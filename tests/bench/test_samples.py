from samples import Sample, Samples, Spread, ratio


def test_a_ratio_is_taken_inside_each_round() -> None:
    # The second round was half as fast for both: the ratio of medians would be 7.5 / 3.
    found = ratio({0: 10.0, 1: 5.0}, {0: 4.0, 1: 2.0})
    assert found == Spread(2.5, 2.5, 2.5)


def test_a_round_that_one_of_them_missed_does_not_count() -> None:
    assert ratio({0: 10.0, 1: 6.0}, {1: 2.0, 2: 9.0}) == Spread(3.0, 3.0, 3.0)
    assert ratio({0: 10.0}, {0: 0.0}) is None
    assert ratio({}, {}) is None


def test_the_best_of_several_may_be_another_in_each_round() -> None:
    samples = Samples(
        Sample(number, server, "lr", "rate", value)
        for number, server, value in ((0, "a", 1.0), (0, "b", 2.0), (1, "a", 4.0), (1, "b", 3.0))
    )
    assert samples.best(["a", "b", "absent"], "lr", "rate", max) == {0: 2.0, 1: 4.0}
    assert samples.spread("a", "lr", "rate") == Spread(2.5, 1.0, 4.0)
    assert samples.spread("a", "rf", "rate") is None
