"""
Whatever goes wrong, the caller reads one sentence and sees exit status 1, and never a traceback.
"""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.program import Program
from support.users import User
from support.weakened import Change

MAIN = "fusermount_py/helper/main.py"
TELLING_FAILS = Change(
    "fusermount_py/helper/failure.py",
    "    if comm is not None:\n",
    # But for what `make install` tries.
    "    1 // (error.message == 'missing mountpoint argument')\n    if comm is not None:\n",
)
TELLING_IS_TRUSTED = Change(MAIN, "        except Exception:  #", "        except LookupError:  #")
LAST_WORDS_ARE_TRUSTED = Change(
    MAIN,
    "        status = program.run(arguments[1:])\n    finally:",
    "        status = program.run(arguments[1:])\n"
    "    except LookupError:\n        pass\n    if status:",
)


def test_what_fails_in_telling_a_failure_does_not_hide_it(
    weakened: Callable[..., Program], caller: User, mountpoint: Path
) -> None:
    """
    Telling touches a socket of the caller's choice, and a log daemon.
    """
    careful = weakened(TELLING_FAILS)
    careless = weakened(TELLING_FAILS, TELLING_IS_TRUSTED, LAST_WORDS_ARE_TRUSTED)

    expected = b"fusermount3: unknown option 'bogus'\n"
    assert expected == careful.mount(mountpoint, "bogus", user=caller).stderr
    assert b"Traceback" in careless.mount(mountpoint, "bogus", user=caller).stderr


INTERRUPTED = Change(
    "packaging/entry.py",
    "try:\n    import compiled_tree",
    "if '--wrong' in sys.argv:\n    import posix\n\n    posix.kill(posix.getpid(), 2)\n"
    "try:\n    import compiled_tree",
)
LAUNCHER_BLOCKS_NOTHING = Change(
    "packaging/launcher/inherited.h", "	sigaddset(&interrupt, SIGINT);\n", ""
)


def test_ctrl_c_while_the_interpreter_starts_is_just_the_end(
    weakened: Callable[..., Program], caller: User
) -> None:
    """
    Until main() has taken it away, the interpreter has a handler of its own, which would show
    where in our files it was, with a status that is neither success nor the signal.
    """
    careful = weakened(INTERRUPTED).run("--wrong", user=caller)
    careless = weakened(INTERRUPTED, LAUNCHER_BLOCKS_NOTHING).run("--wrong", user=caller)

    assert (-signal.SIGINT, b"", b"") == careful[:3]
    assert b"Traceback" in careless.stderr


@pytest.mark.parametrize(("word", "status"), [("-V", 0), ("--wrong", 1)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_at_any_moment_is_just_the_end(
    ours: Program, caller: User, number: signal.Signals, word: str, status: int
) -> None:
    """
    As for every other program: nothing is said, and the status tells the signal.
    """
    for step in range(40):
        running = ours.start(word, user=caller)
        signal.sigtimedwait((), step * 0.0005)  # sleeps
        running.process.send_signal(number)
        result = running.wait()

        assert result.stderr in (b"", b"fusermount3: unrecognized option '--wrong'\n")
        assert result.exit_status in (status, -number)


BROKEN = Change(
    MAIN,
    "import _thread\n",
    "if '--wrong' in __import__('sys').argv:\n    import lost\nimport _thread\n",
)


def test_half_an_installation_is_one_sentence(
    weakened: Callable[..., Program], caller: User
) -> None:
    """
    Callers show this line to their users.
    """
    program = weakened(BROKEN)
    traceback = weakened(
        BROKEN, Change("packaging/entry.py", "except Exception as", "except LookupError as")
    )

    result = program.run("--wrong", user=caller)
    tree = Path(program.path).parents[1] / "lib" / "fusermount-py"
    expected = f"fusermount3: cannot load {tree}: ModuleNotFoundError\n".encode()
    assert (1, b"", expected) == result[:3]
    assert b"Traceback" in traceback.run("--wrong", user=caller).stderr
