"""Defences of the program that waits, and of the installation."""

from mutants.mutant import Mutant
from support.weakened import Change

GUARD = "packaging/launcher/guard.c"
TRUSTED = "packaging/check_trusted.py"
INSTALL = "tests/kernel/test_install.py"

ROWS = (
    Mutant(
        "the guard lets go of what its caller waits for",
        (
            Change(GUARD, "call(SYS_close_range, COMM + 1, ~0U, 0, 0)", "0"),
            Change(GUARD, "if (fd != null && call", "if (0 && call"),
        ),
        ("tests/kernel/test_guard.py::test_nothing_but_the_comm_socket_stays_open",),
    ),
    Mutant(
        "signals meant for the server do not end the guard",
        (
            Change(
                GUARD,
                "call(SYS_rt_sigaction, number, (long)&ignore, 0, sizeof(sigset_t));",
                "(void)&ignore;",
            ),
        ),
        ("tests/kernel/test_guard.py::test_signals_meant_for_the_server_do_not_end_the_guard",),
    ),
    Mutant(
        "the guard starts with an empty environment",
        (
            Change(
                "fusermount_py/helper/auto_unmount.py",
                "posix.execve(guard.program, words, {})",
                "posix.execve(guard.program, words, posix.environ)",
            ),
        ),
        (
            "tests/kernel/test_auto_unmount.py::test_the_guard_holds_nothing_of_its_callers[guard_by_classic]",
        ),
    ),
    Mutant(
        "the guard starts the helper with an empty environment",
        (
            Change(
                GUARD, "char *environment[] = { NULL };", "char **environment = argv + argc + 1;"
            ),
        ),
        ("tests/hostile/test_guard_environment.py",),
    ),
    Mutant(
        "an interpreter that others can change is not installed upon",
        (
            Change(
                TRUSTED,
                'return f"{path} can be changed by others than root"',
                "pass",
            ),
        ),
        (f"{INSTALL}::test_an_interpreter_that_users_could_change_is_refused[mode]",),
    ),
    Mutant(
        "what another user owns is not installed upon",
        (Change(TRUSTED, "if status.st_uid != 0:", "if 0:"),),
        (
            f"{INSTALL}::test_an_interpreter_that_users_could_change_is_refused[owner]",
            f"{INSTALL}::test_a_prefix_that_users_could_change_is_refused",
        ),
    ),
    Mutant(
        "the directories on the way to the interpreter are root's, too",
        (
            Change(
                TRUSTED,
                "reached = [*walk_to(interpreter), *walk_to(prefix)]",
                "reached = walk_to(interpreter)[:1]",
            ),
        ),
        (f"{INSTALL}::test_an_interpreter_that_users_could_change_is_refused[parent]",),
    ),
    Mutant(
        "no path of the installation is read as code",
        (Change(TRUSTED, 'is not a plain absolute path")', '") if 0 else None'),),
        (f"{INSTALL}::test_paths_that_would_be_read_as_code_are_refused",),
    ),
)
