"""smbport.control.settings: what a kernel cannot honour is found, whatever table it is in."""

import pytest

from smbport.config import parse
from smbport.control.settings import find_problems, reference
from smbport.kernel import KernelSetting

NEVER = KernelSetting("Never.", False, lambda value, server: f"not {value!r}")


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("server.signing", 'signing = "offered"', "server.signing = \"offered\": not 'offered'"),
        ("server.dialects", 'min_dialect = "3.1.1"', 'server.dialects = ["3.1.1"]: not (785,)'),
        ("server.listen", 'listen = ["lo:445"]', "server.listen = [\"lo:445\"]: not (('lo', 445),)"),
        ("limits.opens", "[limits]\nopens = 20000", "limits.opens = 20000: not 20000"),
        ("limits.read_size", '[limits]\nread_size = "1MiB"', 'limits.read_size = "1MiB": not 1048576'),
        ("share.NAME.guest", '[share.a]\npath = "v"\nguest = true', "share.a.guest = true: not True"),
        ("share.NAME.path", '[share."b c"]\npath = "v"', 'share."b c".path = "v": not \'v\''),
        ("share.NAME.run_as", '[share.a]\npath = "v"\nrun_as = "x"', "share.a.run_as = \"x\": not 'x'"),
    ],
)
def test_what_differs_from_its_default_is_refused(platform, key, text, said):
    start = '[server]\nguest_account = "server"\n'
    configuration = parse(start + text, "test.toml")
    assert find_problems(configuration, platform.kernel) == []
    platform.kernel.settings = {**platform.kernel.settings, key: NEVER}
    assert [str(problem) for problem in find_problems(configuration, platform.kernel)] == [said]


def test_defaults_are_never_refused(platform):
    platform.kernel.settings = dict.fromkeys(platform.kernel.settings, NEVER)
    configuration = parse("", "test.toml")
    assert find_problems(configuration, platform.kernel) == []


def test_a_reason_can_depend_on_the_server(platform):
    def problem(value, server):
        return None if server["encryption"] == "required" else "all or none"

    row = KernelSetting("Sometimes.", True, problem)
    platform.kernel.settings = {**platform.kernel.settings, "share.NAME.encryption": row}
    share = '[share.a]\npath = "v"\nencryption = "required"'
    found = find_problems(parse(share, "test.toml"), platform.kernel)
    assert [problem.key for problem in found] == ["share.a.encryption"]
    assert find_problems(parse(f'[server]\nencryption = "required"\n{share}', "test.toml"), platform.kernel) == []


def test_the_table():
    assert reference({"server.log": KernelSetting("So."), "server.x": NEVER}).splitlines()[2:] == [
        "| `server.log` | yes | So. |",
        "| `server.x` | no | Never. |",
    ]
