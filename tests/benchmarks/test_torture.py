"""What smbtorture says at its end."""

from benchmarks.torture import parse_rate

OUTPUT = """\
Running for 2 seconds
1.00 second: open[num/s=5,avslat=0.1,minlat=0.1,maxlat=0.2] close[num/s=7,avslat=0.1,minlat=0.1,maxlat=0.2]     \r
2.00 second: open[num/s=5,328,avslat=0.000420,minlat=0.000136] close[num/s=5,326,avslat=0.000331,minlat=0.000079]
success: path-contention-shared
"""


def test_the_last_rate_of_what_is_counted() -> None:
    assert parse_rate(OUTPUT, "open") == 5328
    assert parse_rate(OUTPUT, "close") == 5326


def test_none_if_it_failed() -> None:
    assert parse_rate("failure: echo [NT_STATUS_LOGON_FAILURE]", "echo") is None
