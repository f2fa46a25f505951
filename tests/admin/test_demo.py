"""`fusermount-py demo`, as an ordinary user."""

from support.admin import Admin
from support.users import CALLER, User


def test_the_demo_mounts_reads_and_unmounts(admin: Admin, caller: User) -> None:
    """
    The first thing that people run after they installed it.
    """
    result = admin.run("demo", user=caller)

    assert (0, b"") == (result.exit_status, result.stderr)
    assert b"has status 0: it is mounted" in result.stdout
    assert b"Hello from a file system" in result.stdout
    assert b"fusermount-py-" not in admin.run("mounts").stdout


def test_the_demo_gives_its_steps_to_programs(admin: Admin, caller: User) -> None:
    """
    As every verb does: whoever measures a handshake wants numbers and no picture.
    """
    told = admin.json("demo", user=caller)

    assert 0 == told["status"]
    steps = {step["step"]: step["milliseconds"] for step in told["steps"]}
    assert steps["starts the helper"] < steps["has status 0: it is mounted"]


def test_the_demo_shows_the_classic_mount_of_an_older_helper(admin: Admin) -> None:
    """
    Whoever has Debian's helper sees what that one does.
    """
    admin.environment["PATH"] = "/usr/bin:/bin"

    result = admin.run("demo", user=CALLER)  # it wants a user with a name

    assert (0, b"") == (result.exit_status, result.stderr)
