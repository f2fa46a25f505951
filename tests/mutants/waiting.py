"""Defences of time: who is waited for, for how long, and over which socket."""

from mutants.mutant import Mutant
from support.weakened import Change

HELPER = "fusermount_py/helper"
COMM = f"{HELPER}/kernel/comm.py"
ENDINGS = "tests/kernel/test_sync_init_endings.py"
WARNED = "tests/kernel/test_surroundings.py::test_a_warning_that_cannot_be_written_stops_no_mount"

ROWS = (
    Mutant(
        "a lease makes nobody wait",
        (
            Change(
                f"{HELPER}/kernel/mountpoint.py",
                "posix.O_WRONLY | posix.O_NONBLOCK |",
                "posix.O_WRONLY |",
            ),
        ),
        ("tests/hostile/test_leases.py",),
    ),
    Mutant(
        "a client that does not proceed is given up",
        (
            Change(
                COMM,
                "        while events := self._poll(None, deadline):",
                "        while events := self._poll(None, None):",
            ),
        ),
        (f"{ENDINGS}::test_a_client_that_never_proceeds_is_given_up",),
    ),
    Mutant(
        "a client that is gone is not waited for",
        (Change(COMM, 'raise ClientGone("proceed")', "time.sleep(0.1)"),),
        (f"{ENDINGS}::test_a_client_gone_before_proceed_is_not_mounted_for",),
    ),
    Mutant(
        "a client that dies during FUSE_INIT is not waited for",
        (Change(COMM, 'raise ClientGone("create")', "time.sleep(0.1)"),),
        (f"{ENDINGS}::test_a_server_killed_during_fuse_init_leaves_nothing[fsopen]",),
    ),
    Mutant(
        "a server that does not answer FUSE_INIT is given up",
        (
            Change(
                COMM,
                "        while events := self._poll(until, deadline):",
                "        while events := self._poll(until, None):",
            ),
        ),
        (f"{ENDINGS}::test_a_server_that_never_answers_is_given_up[fsopen]",),
    ),
    Mutant(
        "a caller may only shorten our patience",
        (
            Change(
                f"{HELPER}/request.py",
                "return min(float(text), protocol.WAIT_SECONDS)",
                "return float(text)",
            ),
        ),
        ("tests/unit/test_request.py::test_a_caller_may_only_shorten_our_patience",),
    ),
    Mutant(
        "a hung mountpoint is given up",
        (Change(f"{HELPER}/kernel/patience.py", "            over()\n", "            pass\n"),),
        ("tests/kernel/test_hung_mountpoint.py::test_a_hung_mountpoint_does_not_hang_the_helper",),
    ),
    Mutant(
        "a client whose socket is full is not waited for",
        (Change(COMM, "_SEND_FLAGS = _socket.MSG_DONTWAIT | ", "_SEND_FLAGS = "),),
        ("tests/kernel/test_classic.py::test_a_full_socket_makes_nobody_wait",),
    ),
    Mutant(
        "the comm socket is a Unix socket",
        (Change(COMM, "connected.family != _socket.AF_UNIX or ", ""),),
        (
            "tests/kernel/test_comm_socket.py::test_a_comm_socket_is_a_connected_unix_socket[an_inet_socket]",
        ),
    ),
    Mutant(
        "the comm socket is connected",
        (Change(COMM, "        connected.getpeername()\n", ""),),
        (
            "tests/hostile/test_descriptors.py::test_a_comm_socket_of_another_kind_is_refused[unconnected]",
        ),
    ),
    Mutant(
        "the comm socket is no datagram socket",
        (Change(COMM, " or kind not in _KINDS", ""),),
        (
            "tests/kernel/test_comm_socket.py::test_a_comm_socket_is_a_connected_unix_socket[a_datagram_socket]",
        ),
    ),
    Mutant(
        "Ctrl-C ends a helper, not in a traceback",
        (Change(f"{HELPER}/main.py", "    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)\n", ""),),
        (f"{ENDINGS}::test_a_signal_ends_the_wait_without_a_mount[2-before proceed]",),
    ),
    Mutant(
        "a number is digits and nothing else",
        (
            Change(
                f"{HELPER}/request.py",
                "if not (text.isascii() and text.isdecimal() and len(text) < 20):",
                "if not text:",
            ),
        ),
        ("tests/unit/test_request.py::test_a_descriptor_is_digits_and_nothing_else",),
    ),
    Mutant(
        "a reader of messages who does not read is not waited for",
        (Change(f"{HELPER}/main.py", "poll.poll(_MESSAGE_SECONDS * 1000)", "poll.poll()"),),
        (f"{WARNED}[full_pipe]",),
    ),
)
