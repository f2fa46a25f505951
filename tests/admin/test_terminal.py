"""`fusermount-py` before a person: colour, width, redrawing and questions, in a real terminal."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.admin import Admin, Serve
from support.essential import essential_skip
from support.program import PATIENCE
from support.terminal import Terminal

GREEN, RED = "\x1b[32m", "\x1b[31m"
Open = Callable[..., Terminal]


@pytest.fixture
def terminal(admin: Admin, home: Path) -> Open:
    """Opens one terminal with the command in it."""
    if shutil.which("tmux") is None:
        essential_skip("needs tmux")

    def start(*words: str | Path, columns: int = 100, **variables: str) -> Terminal:
        environment = admin.environment | variables
        return Terminal(home, [*admin.command, *words], environment, columns=columns)

    return start


def test_states_have_their_colours_on_a_terminal_and_none_in_a_pipe(
    admin: Admin, serve: Serve, terminal: Open, home: Path
) -> None:
    """
    A dead mount must catch the eye; a script must not find escape sequences in a word.
    """
    serve(home / "one")
    serve(home / "two").peer.kill()

    with terminal("mounts") as seen:
        seen.wait_for("status 0")
        coloured = seen.screen(colours=True)

    assert f"{GREEN}alive" in coloured
    assert f"{RED}dead" in coloured
    assert b"\x1b" not in admin.run("mounts").stdout


def test_no_color_is_respected(serve: Serve, terminal: Open, mountpoint: Path) -> None:
    """
    Some people cannot tell red from green, and all of them set the same variable.
    """
    serve(mountpoint)

    with terminal("mounts", NO_COLOR="1") as seen:
        seen.wait_for("status 0")
        assert GREEN not in seen.screen(colours=True)


def test_a_narrow_terminal_shortens_the_path_and_keeps_the_state(
    serve: Serve, terminal: Open, home: Path
) -> None:
    """
    Lines that wrap cannot be read as a table, and the end of a path says more than its beginning.
    """
    serve(home / ("a-long-name-" * 8 + "end"))

    with terminal("mounts", columns=95) as seen:
        lines = seen.wait_for("status 0").splitlines()

    (line,) = [line for line in lines if "alive" in line]
    assert line.startswith("…")
    assert "end " in line
    assert len(line) <= 95


def test_watch_redraws_as_mounts_come_and_servers_die(
    serve: Serve, terminal: Open, home: Path
) -> None:
    """
    One leaves it open beside the work that makes and breaks mounts.
    """
    with terminal("mounts", "--watch") as seen:
        seen.wait_for("No FUSE mounts.")
        served = serve(home / "here")
        assert "alive" in seen.wait_for("here")
        served.peer.kill()
        screen = seen.wait_for("dead")

    assert 1 == screen.count("MOUNTPOINT")


@pytest.mark.parametrize(("answer", "state"), [("n", "alive"), ("y", "dead")])
def test_abort_asks_and_does_as_it_is_told(
    admin: Admin, serve: Serve, terminal: Open, mountpoint: Path, answer: str, state: str
) -> None:
    """
    Unwritten data is lost by it: the question stands after what would be hit.
    """
    served = serve(mountpoint)

    with terminal("abort", mountpoint) as seen:
        screen = seen.wait_for("Abort it?")
        assert f"server {served.peer.pid}" in screen
        seen.type(answer)
        seen.wait_for("status 0" if answer == "y" else "status 1")

    # The peer ends when the kernel tells it so; the mount is dead either way.
    assert state == _settled(admin, mountpoint, state)


def _settled(admin: Admin, mountpoint: Path, expected: str) -> str:
    for _ in range(PATIENCE):
        state = str(admin.row(mountpoint)["state"])
        if state == expected:
            break
    return state


def test_completion_knows_the_mountpoints(admin: Admin, serve: Serve, mountpoint: Path) -> None:
    """
    A shell that completes a path by looking at it hangs with the mount; this one does not look.
    """
    serve(mountpoint).peer.stop()
    admin.environment |= {
        "_FUSERMOUNT_PY_COMPLETE": "bash_complete",
        "COMP_WORDS": f"fusermount-py unmount {mountpoint.parent}",
        "COMP_CWORD": "2",
    }

    assert f"plain,{mountpoint}\n".encode() == admin.run().stdout
