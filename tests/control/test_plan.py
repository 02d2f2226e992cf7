"""smbport.control.plan: what a kernel is told at its start."""

from smbport.config import parse
from smbport.control.plan import make_plan


def plan_of(text):
    return make_plan(parse(text, "test.toml"), (1, 2, 3))


def test_defaults():
    plan = plan_of("")
    assert (plan.port, plan.devices) == (445, ())
    assert (plan.oldest_dialect, plan.newest_dialect) == (0x202, 0x311)
    assert (plan.signing_required, plan.encryption, plan.leases, plan.multichannel) == (True, "offered", True, True)
    assert plan.machine_id not in ((1, 2, 3), make_plan(parse("", "test.toml"), (1, 2, 4)).machine_id)
    assert plan.machine_id == plan_of("[share.x]\npath = '/'").machine_id
    assert (plan.opens, plan.connections, plan.read_size) == (65536, 1024, 8 << 20)


def test_what_is_set():
    plan = plan_of(
        '[server]\nlisten = ["eth1:1445", "eth0:1445"]\nmin_dialect = "3.0"\nmax_dialect = "3.0.2"\n'
        'signing = "offered"\nencryption = "required"\nleases = false\nmultichannel = false\n'
        'server_name = "OFFICE"\nworkgroup = "HERE"\n[limits]\nidle_timeout_s = 61'
    )
    assert (plan.port, plan.devices) == (1445, ("eth0", "eth1"))
    assert (plan.oldest_dialect, plan.newest_dialect) == (0x300, 0x302)
    assert (plan.signing_required, plan.encryption, plan.leases, plan.multichannel) == (False, "required", False, False)
    assert (plan.server_name, plan.workgroup, plan.idle_timeout_s) == ("OFFICE", "HERE", 61)


def test_every_device_contains_each():
    assert plan_of('[server]\nlisten = ["eth0:445", ":445"]').devices == ()
