/*
 * guard: waits, for auto_unmount, until the file system's server has gone.
 * SPDX-License-Identifier: MIT
 *
 *     guard HELPER ARGV0 COMM_FD MOUNT_ID MOUNTPOINT
 *
 * The helper becomes this program after its mount, with the caller's ids, no capability
 * and an empty environment. One waits beside every such mount, for days, so it is no
 * interpreter, and does without the C library too (bare.h). When the other end of the comm
 * socket is closed, it becomes HELPER, setuid again, which judges for itself whether mount
 * MOUNT_ID is still there, the caller's, and dead. Nothing here is trusted by anyone: a
 * caller who runs this program by hand gains what running HELPER by hand gives.
 */
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/time.h>
#include <stddef.h>

#include "bare.h"

enum { STDIN, STDOUT, STDERR, COMM };
enum { SIGNALS = 64, DONT_WAIT = 0x40, ID_DIGITS = 20 };

/* Callers read our inherited stdout and stderr to their end, or wait for a pipe of
 * theirs to close: whatever stayed open here would keep them waiting for ever. The comm
 * socket may be one of fds 0-2, hence it is moved out of the way first. */
static long keep_only(long comm_fd)
{
	long null;

	if (comm_fd != COMM && call(SYS_dup3, comm_fd, COMM, 0, 0) < 0)
		return -1;
	null = call(SYS_openat, AT_FDCWD, (long)"/dev/null", O_RDWR, 0);
	for (long fd = STDIN; fd <= STDERR; fd++)
		if (fd != null && call(SYS_dup3, null, fd, 0, 0) < 0)
			return -1;
	return call(SYS_close_range, COMM + 1, ~0U, 0, 0);
}

/* A terminal's signals, and the SIGTERM that a service manager sends to everything it
 * started, reach server and guard alike: the guard must outlive the server to be of
 * use. Ignored rather than blocked: nothing stays pending for the helper to die of. */
static void ignore_signals(void)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	for (long number = 1; number <= SIGNALS; number++)
		call(SYS_rt_sigaction, number, (long)&ignore, 0, sizeof(sigset_t));
}

/* What the peer says is read and dropped, else its sends would block one day. Gone is a
 * peer that poll calls gone: a SEQPACKET message of no bytes looks like end of file to
 * recv, and so does a server that has only closed its own direction, and serves on. A
 * byte out of band is shown by poll and dropped by recv, with an error: no reason to go. */
static void wait_for_hangup(void)
{
	const struct timespec moment = { .tv_nsec = 100000000 };
	struct pollfd comm = { .fd = COMM, .events = POLLIN | POLLRDHUP };
	char dropped[64];

	while (call(SYS_ppoll, (long)&comm, 1, 0, 0) == 1) {
		if (comm.revents & (POLLHUP | POLLERR | POLLNVAL))
			return;
		if (comm.revents & POLLRDHUP)
			comm.events = 0; /* nothing more will be said; hang-up is told unasked */
		else if (call(SYS_recvfrom, COMM, (long)dropped, sizeof(dropped), DONT_WAIT) < 0)
			call(SYS_nanosleep, (long)&moment, 0, 0, 0);
	}
}

static long number_of(const char *digits)
{
	long number = 0;

	while (*digits >= '0' && *digits <= '9' && number < 1 << 24)
		number = 10 * number + (*digits++ - '0');
	return *digits == '\0' ? number : -1;
}

static int run(long argc, char **argv)
{
	char dead_mount[sizeof("--dead-mount=") + ID_DIGITS] = "--dead-mount=";
	char *id = dead_mount + sizeof("--dead-mount=") - 1;

	if (argc != 6)
		return 1;
	for (const char *digit = argv[4]; *digit; digit++)
		if (id < dead_mount + sizeof(dead_mount) - 1)
			*id++ = *digit;
	ignore_signals();
	call(SYS_setsid, 0, 0, 0, 0); /* refused to the leader of a group, whose signals are ignored */
	if (keep_only(number_of(argv[3])) < 0 || call(SYS_chdir, (long)"/", 0, 0, 0) < 0)
		return 1;
	wait_for_hangup();

	char *command[] = { argv[2], "--unmount", "--lazy", "--quiet", dead_mount, "--",
		argv[5], NULL };
	char *environment[] = { NULL };
	call(SYS_execve, (long)argv[1], (long)command, (long)environment, 0);
	return 1;
}
