"""smbport.state.lock_sequences"""

import pytest

from smbport.state.lock_sequences import LockSequences


def sequence(bucket, number):
    return bucket << 4 | number


@pytest.mark.parametrize("bucket", [1, 17, 64])
def test_the_same_number_again_is_a_replay(bucket):
    sequences = LockSequences()
    for number in (0, 15, 0):
        assert not sequences.is_replay(sequence(bucket, number))
        sequences.note(sequence(bucket, number))
        assert sequences.is_replay(sequence(bucket, number))
        assert sequences.is_replay(sequence(bucket, number))


def test_a_request_that_failed_leaves_its_bucket_empty():
    sequences = LockSequences()
    sequences.note(sequence(3, 1))
    assert not sequences.is_replay(sequence(3, 2))
    assert not sequences.is_replay(sequence(3, 1))


def test_buckets_do_not_know_each_other():
    sequences = LockSequences()
    sequences.note(sequence(1, 5))
    assert not sequences.is_replay(sequence(2, 5))
    assert sequences.is_replay(sequence(1, 5))


@pytest.mark.parametrize("bucket", [0, 65, 0xFFFFFFF])
def test_no_bucket_asks_for_nothing(bucket):
    sequences = LockSequences()
    sequences.note(sequence(bucket, 5))
    assert not sequences.is_replay(sequence(bucket, 5))
    assert set(sequences.numbers) == {0xFF}


def test_it_can_be_written_down():
    sequences = LockSequences()
    sequences.note(sequence(64, 9))
    again = LockSequences(bytes(sequences.numbers))
    assert again.is_replay(sequence(64, 9))
    assert not again.is_replay(sequence(1, 9))
