"""smbport.control.answers: what a kernel asks, without a kernel."""

from dataclasses import replace
from inspect import isawaitable

import pytest

from smbport.config import parse
from smbport.control import answers as module
from smbport.control.answers import ACCOUNT_AGE_S, MAX_RECORDS, RECORD_AGE_S
from smbport.kernel import TreeAnswer, TreeQuestion
from smbport.platform import Account
from smbport.security.auth import UserRecord, nt_hash
from smbport.server.logon import new_authenticator

SHARES = """\
[server]
guest_account = "nobody"
guest_on_bad_user = true
anonymous = "ipc-only"
[limits]
trees_per_session = 2
sessions = 2
sessions_per_connection = 2
failed_logons_per_connection = 2
[share.data]
path = "v"
[share.read]
path = "v"
read_only = true
write_users = ["alice"]
[share.some]
path = "v"
valid_users = ["ALICE"]
[share.free]
path = "v"
guest = true
[share.served]
path = "v"
run_as = "server"
"""
STRICT = '[share.data]\npath = "v"'


def question(share, name="alice", *, session=1, tree=1, guest=False, homeless=False):
    return TreeQuestion(
        session_id=session, tree_id=tree, name=name, guest=guest, homeless=homeless, share=share, address="192.0.2.1"
    )


@pytest.fixture
def now(monkeypatch):
    """The time in seconds, to be set."""
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


async def log_on(answers, name):
    logon = answers.log_on(name)
    return await logon if isawaitable(logon) else logon


async def told(answers, *names):
    for name in names:
        assert answers.find_share(name)
    return answers


# Users


async def test_a_user_is_asked_to_prove_it(answers_of):
    logon = await log_on(await answers_of(STRICT), "aLICE")
    assert logon.name == "aLICE"  # goes into the proof as the client typed it
    assert logon.nt_hash == nt_hash("secret")
    assert (logon.account.uid, logon.account.groups) == (1001, (1001, 3000))
    assert (logon.guest, logon.homeless, logon.delay) == (False, False, False)
    assert "secret" not in repr(logon)
    assert nt_hash("secret").hex() not in repr(logon)


async def test_a_user_with_an_account_of_another_name(answers_of):
    assert (await log_on(await answers_of(STRICT), "mapped")).account.name == "alice"


async def test_accounts_are_looked_up_anew_after_a_while(answers_of, platform, monkeypatch, now):
    answers = await answers_of(STRICT)
    asked = []

    def find_account(name, *, wait):
        asked.append((name, wait))
        return None if len(asked) == 1 else Account(name, 7, 7)

    monkeypatch.setattr(platform.identity, "find_account", find_account)
    assert (await log_on(answers, "alice")).homeless
    assert (await log_on(answers, "alice")).homeless
    now[0] += ACCOUNT_AGE_S + 1
    assert (await log_on(answers, "alice")).account.uid == 7
    assert asked == [("Alice", True)] * 2


async def test_only_the_first_logon_of_an_account_waits(answers_of, rules_of, users):
    answers = await answers_of(STRICT)
    waiting = answers.log_on("alice")
    assert isawaitable(waiting)
    await waiting
    assert answers.log_on("alice").account.uid == 1001
    rules = await rules_of(STRICT)
    answers.adopt(rules, new_authenticator(rules.settings, users))
    assert (await answers.log_on("alice")).account.uid == 1001


async def test_a_user_is_believed_for_a_moment_after_a_logon(answers_of, users, now):
    answers = await told(await answers_of(STRICT), "data")
    await log_on(answers, "Alice")
    users.put(UserRecord("Alice", nt_hash("secret"), disabled=True))
    assert answers.connect(question("data", "Alice")).verdict == "granted"
    now[0] += RECORD_AGE_S + 1
    assert answers.connect(question("data", "Alice")).verdict == "denied"
    assert answers.log_on("Alice") is None


async def test_not_more_users_are_remembered_than_needed(answers_of, users):
    answers = await told(await answers_of(STRICT), "data")
    for number in range(MAX_RECORDS + 1):
        answers.connect(question("data", f"user{number}"))
    assert len(answers._records) == 1


async def test_a_user_without_an_account(answers_of):
    logon = await log_on(await answers_of(STRICT), "bob")
    assert logon.homeless
    assert (logon.account.uid, logon.account.groups) == (65534, ())


@pytest.mark.parametrize("name", ["nobody knows", "gone", "", "guest"])
async def test_who_may_not_log_on(answers_of, name, caplog):
    answers = await answers_of(STRICT)
    assert await log_on(answers, name) is None
    assert caplog.text == ""  # a client waits
    answers.rest()
    assert "logon failed" in caplog.text


@pytest.mark.parametrize(("name", "known_as", "uid"), [("stranger", "guest", 65534), ("", "", 65534)])
async def test_guests_prove_nothing(answers_of, name, known_as, uid):
    logon = await log_on(await answers_of(SHARES), name)
    assert (logon.name, logon.guest, logon.nt_hash, logon.account.uid) == (known_as, True, b"", uid)


async def test_wrong_passwords_become_slow(answers_of, caplog):
    answers = await answers_of(SHARES)
    for _ in range(2):
        assert not (await log_on(answers, "alice")).delay
        answers.log_off("ALICE", failed=True)
    answers.rest()
    assert "'ALICE' gave a wrong password" in caplog.text
    assert (await log_on(answers, "alice")).delay
    answers.log_off("alice", failed=False)
    assert (await log_on(answers, "alice")).delay
    assert answers.connect(question("data")).verdict == "granted"
    assert not (await log_on(answers, "alice")).delay


async def test_a_wrong_password_of_a_user_removed_meanwhile(answers_of):
    answers = await answers_of(STRICT)
    answers.log_off("nobody knows", failed=True)
    assert (await log_on(answers, "alice")).delay is False


# Shares


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (question("DATA"), TreeAnswer("granted", writable=True)),
        (question("ipc$"), TreeAnswer("granted", writable=True)),
        (question("none"), TreeAnswer("no share")),
        (question("data", "mapped"), TreeAnswer("granted", writable=True)),
        (question("data", "bob", homeless=True), TreeAnswer("denied")),
        (question("served", "bob", homeless=True), TreeAnswer("granted", writable=True)),
        (question("data", "removed"), TreeAnswer("denied")),
        (question("data", "gone"), TreeAnswer("denied")),
        (question("read"), TreeAnswer("granted", writable=True)),
        (question("read", "mapped"), TreeAnswer("granted", writable=False)),
        (question("some"), TreeAnswer("granted", writable=True)),
        (question("some", "mapped"), TreeAnswer("denied")),
        (question("free", "guest", guest=True), TreeAnswer("granted", writable=True)),
        (question("data", "guest", guest=True), TreeAnswer("denied")),
        (question("free", "", guest=True), TreeAnswer("denied")),
        (question("ipc$", "", guest=True), TreeAnswer("granted", writable=True)),
    ],
)
async def test_who_may_connect(answers_of, asked, expected):
    answers = await told(await answers_of(SHARES), "data", "read", "some", "free", "served", "ipc$")
    assert answers.connect(asked) == expected
    assert bool(answers.trees) is (expected.verdict == "granted")


ADDRESSES = """\
[server]
hosts_deny = ["192.0.2.7"]
[share.data]
path = "v"
[share.inner]
path = "v"
hosts_allow = ["192.0.2.0/29"]
hosts_deny = ["192.0.2.6"]
"""


@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        ("192.0.2.1", ["data", "inner", "ipc$"]),
        ("192.0.2.6", ["data", "ipc$"]),
        ("192.0.2.7", []),
        ("192.0.2.8", ["data", "ipc$"]),
        (None, []),  # whoever it is might be one of those who may not
    ],
)
async def test_from_where_one_may_connect(answers_of, caplog, address, admitted):
    answers = await told(await answers_of(ADDRESSES), "data", "inner", "ipc$")
    asked = {name: replace(question(name), address=address) for name in ("data", "inner", "ipc$")}
    verdicts = {name: answers.connect(each).verdict for name, each in asked.items()}
    assert verdicts == {name: "granted" if name in admitted else "denied" for name in asked}
    answers.rest()
    assert caplog.text.count("may not connect to share") == 3 - len(admitted)


async def test_connections_are_counted(answers_of):
    answers = await told(await answers_of(SHARES), "data")
    granted = TreeAnswer("granted", writable=True)
    assert answers.connect(question("data", tree=1)) == granted
    assert answers.connect(question("data", tree=2)) == granted
    assert answers.connect(question("data", tree=3)) == TreeAnswer("too many connections")
    assert answers.connect(question("data", session=2)) == granted
    assert answers.connect(question("data", session=3)) == TreeAnswer("too many sessions")
    answers.disconnect(1, 1)
    assert answers.connect(question("data", tree=3)) == granted
    answers.disconnect(2, 1)
    assert answers.connect(question("data", session=3)) == granted
    for pair in [(1, 2), (1, 3), (1, 3), (3, 1), (9, 9)]:  # some are known no more, or never were
        answers.disconnect(*pair)
    assert answers.trees == {}


async def test_what_the_kernel_was_not_told_is_told_anew(answers_of):
    """A kernel may remember shares from before this process."""
    answers = await answers_of(SHARES)
    assert answers.connect(question("data")).refresh
    answers.find_share("DATA")
    assert not answers.connect(question("data", tree=2)).refresh


async def test_other_rules(answers_of, rules_of, users):
    answers = await told(await answers_of(SHARES), "data", "read", "some")
    rules = await rules_of(SHARES.replace("[share.read]", '[share.new]\npath = "w"\n[share.read]\nforce_mode="0020"'))
    answers.adopt(rules, new_authenticator(rules.settings, users))
    assert answers.find_share("new").path.endswith("/w")
    assert answers.connect(question("read")).refresh
    assert not answers.connect(question("data", session=2)).refresh
    rules = await rules_of(STRICT)
    answers.adopt(rules, new_authenticator(rules.settings, users))
    assert answers.connect(question("some", session=3)).verdict == "no share"
    assert await log_on(answers, "stranger") is None


async def test_the_log_says_who_connects_from_where(answers_of, caplog):
    caplog.set_level("INFO")
    answers = await answers_of(SHARES)
    answers.connect(question("data"))
    answers.rest()
    assert "'alice' connected to share data from 192.0.2.1" in caplog.text
    unknown = TreeQuestion(
        session_id=1, tree_id=2, name="a\nb", guest=False, homeless=False, share="data", address=None
    )
    answers.connect(unknown)
    answers.rest()
    assert r"a\nb" in caplog.text
    assert "a\nb" not in caplog.text


def test_the_settings_of_these_tests_are_good():
    assert len(parse(SHARES, "test").settings.shares) == 5
