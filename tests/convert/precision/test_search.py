from hypothesis import given
from hypothesis import strategies as st

from convert.precision.search import Search


def groups(count, size):
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


@given(
    st.integers(1, 60).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(0, count - 1), min_size=1)))
)
def test_what_is_needed_is_found(case):
    count, needed = case
    search = Search(lambda kept: needed <= kept, range(count), limit=10**6)
    left = search.shrink(groups(count, 5))
    assert needed <= set(left)
    assert sorted(search.shrink([[index] for index in left])) == sorted(needed)
    assert search.is_minimal


def test_one_of_many_takes_few_trials():
    search = Search(lambda kept: 313 in kept, range(400), limit=100)
    search.shrink([[index] for index in search.shrink(groups(400, 8))])
    assert search.best == [313]
    assert search.trials < 30


def test_a_subset_is_tried_once():
    asked = []

    def passes(kept):
        asked.append(kept)
        return {3, 17} <= kept

    Search(passes, range(20), limit=1000).shrink([[index] for index in range(20)])
    assert len(asked) == len(set(asked))


def test_without_trials_left_the_best_so_far_remains():
    search = Search(lambda kept: {1, 30} <= kept, range(32), limit=3)
    left = search.shrink([[index] for index in range(32)])
    assert {1, 30} <= set(left)
    assert (search.trials, search.is_minimal) == (3, False)


def test_of_two_ways_one_is_found():
    search = Search(lambda kept: {0, 1} <= kept or {8, 9} <= kept, range(10), limit=1000)
    assert sorted(search.shrink([[index] for index in range(10)])) in ([0, 1], [8, 9])


def test_groups_that_cannot_be_dropped_may_hold_more_than_is_needed():
    search = Search(lambda kept: {1, 2} <= kept, range(4), limit=100)
    assert search.shrink([[0, 1], [2, 3]]) == [0, 1, 2, 3]
    assert not search.is_minimal
    assert search.shrink([[index] for index in search.best]) == [1, 2]
    assert search.is_minimal
