"""Defences of the program that carries the setuid bit."""

from mutants.mutant import Mutant
from support.weakened import Change

LAUNCHER = "packaging/launcher/launcher.c"
DESCRIPTORS = "packaging/launcher/descriptors.h"
INHERITED = "packaging/launcher/inherited.h"
LIMITS = "packaging/launcher/limits.h"
FRONT = "tests/kernel/test_launcher.py"
POWERS = "tests/hostile/test_powers.py"
STRANGE = "test_a_strange_standard_descriptor_does_not_change_the_outcome"

ROWS = (
    Mutant(
        "the environment is built from nothing",
        (Change(LAUNCHER, "execve(PYTHON, command, kept)", "execve(PYTHON, command, environ)"),),
        (f"{FRONT}::test_of_the_environment_only_the_contract_passes",),
    ),
    Mutant(
        "an ordinary caller chooses no device",
        (Change(LAUNCHER, " - (getuid() == 0 ? 0 : 1)", ""),),
        (f"{FRONT}::test_root_alone_chooses_another_device",),
    ),
    Mutant(
        "the interpreter looks neither at its environment nor where the caller stands (-I)",
        (Change(LAUNCHER, '{ PYTHON, "-I", "-S"', '{ PYTHON, "-S", "-S"'),),
        (f"{FRONT}::test_the_interpreter_runs_isolated_under_its_own_name",),
    ),
    Mutant(
        "no site package is imported (-S)",
        (Change(LAUNCHER, '{ PYTHON, "-I", "-S"', '{ PYTHON, "-I", "-I"'),),
        (f"{FRONT}::test_nothing_is_imported_from_where_the_caller_stands",),
    ),
    Mutant(
        "the interpreter is called by a fixed name",
        (
            Change(
                LAUNCHER,
                "\texecve(PYTHON, command",
                "\tcommand[0] = argv[0];\n\texecve(PYTHON, command",
            ),
        ),
        (f"{FRONT}::test_the_interpreter_runs_isolated_under_its_own_name",),
    ),
    Mutant(
        "closed standard descriptors are filled",
        (
            Change(
                LAUNCHER,
                "if (fill_standard_descriptors() < 0)",
                "if (0 && fill_standard_descriptors())",
            ),
        ),
        (f"{FRONT}::test_closed_standard_descriptors_are_taken[root]",),
    ),
    Mutant(
        "a directory is no standard descriptor",
        (Change(DESCRIPTORS, ' && faccessat(fd, ".", F_OK, 0) < 0 && errno == ENOTDIR', ""),),
        (f"tests/hostile/test_descriptors.py::{STRANGE}[a directory-stdin]",),
    ),
    Mutant(
        "of all other descriptors only the comm socket reaches the helper",
        (
            Change(DESCRIPTORS, "CLOSE_RANGE_CLOEXEC) < 0", "CLOSE_RANGE_CLOEXEC) < 0 && 0"),
            Change(
                DESCRIPTORS,
                "if (close_range(STDERR_FILENO + 1",
                "if (close_range(STDERR_FILENO + 4000",
            ),
        ),
        (f"{FRONT}::test_no_other_descriptor_of_the_caller_survives",),
    ),
    Mutant(
        "ignored signals are reset",
        (Change(INHERITED, "signal(number, SIG_DFL);", ";"),),
        (f"{FRONT}::test_signals_umask_and_core_limit_are_ours",),
    ),
    Mutant(
        "blocked signals are let through",
        (Change(INHERITED, "sigprocmask(SIG_SETMASK, &interrupt, NULL);", ""),),
        (f"{FRONT}::test_signals_umask_and_core_limit_are_ours",),
    ),
    Mutant(
        "the umask is ours",
        (Change(LAUNCHER, "umask(022);", ""),),
        (f"{FRONT}::test_signals_umask_and_core_limit_are_ours",),
    ),
    Mutant(
        "no core file is written",
        (Change(LIMITS, "setrlimit(RLIMIT_CORE, &limit);", ""),),
        (f"{FRONT}::test_signals_umask_and_core_limit_are_ours",),
    ),
    Mutant(
        "soft limits are raised",
        (Change(LIMITS, "if (limit.rlim_cur >= floors[i].wanted)", "if (1)"),),
        (
            "tests/hostile/test_limits.py::test_a_tiny_limit_means_a_mount_or_one_sentence[RLIMIT_AS=8388608-soft]",
        ),
    ),
    Mutant(
        "the limit on a user's processes stays",
        (
            Change(
                LIMITS, "{ RLIMIT_FSIZE, 0, RLIM_INFINITY }", "{ RLIMIT_NPROC, 0, RLIM_INFINITY }"
            ),
        ),
        ("tests/hostile/test_limits.py::test_the_limit_on_a_users_processes_stays",),
    ),
    Mutant(
        "no hard limit is raised",
        (
            Change(
                LIMITS,
                "limit.rlim_cur = floors[i].wanted < limit.rlim_max ? "
                "floors[i].wanted : limit.rlim_max;",
                "limit.rlim_cur = limit.rlim_max = limit.rlim_max / 2;",
            ),
        ),
        ("tests/hostile/test_limits.py::test_no_hard_limit_of_the_guard_is_above_its_users[ours]",),
    ),
    Mutant(
        "the bounding set is not cut",
        (
            Change(
                LAUNCHER,
                "\treset_signals();\n",
                "\tprctl(PR_CAPBSET_DROP, 1, 0, 0, 0);\n\treset_signals();\n",
            ),
        ),
        (f"{POWERS}::test_setuid_programs_started_in_the_guard_have_all_of_roots_powers[ours]",),
    ),
    Mutant(
        "a sentence that nobody reads is no death by SIGPIPE",
        (Change(LAUNCHER, "signal(SIGPIPE, SIG_IGN);", ""),),
        (f"{FRONT}::test_a_sentence_nobody_reads_is_still_exit_status_1",),
    ),
    Mutant(
        "what is no number keeps no descriptor",
        (
            Change(
                DESCRIPTORS,
                "digits && digits <= strlen(\"2147483647\") && number[digits] == '\\0'",
                "number || digits",
            ),
        ),
        (f"{FRONT}::test_what_is_no_number_keeps_no_descriptor",),
    ),
)
