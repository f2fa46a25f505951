/*
 * guard: waits, for auto_unmount, until the file system's server has gone.
 * SPDX-License-Identifier: MIT
 *
 *     guard HELPER ARGV0 COMM_FD MOUNT_ID MOUNTPOINT
 *
 * The helper becomes this program after its mount, with the caller's ids, no
 * capability and an empty environment; one waits beside every such mount, for days, so
 * it is one page of C and not an interpreter. When the other end of the comm socket is
 * closed, it becomes HELPER, setuid again, which judges for itself whether mount MOUNT_ID
 * is still there, the caller's, and dead. Nothing here is trusted by anyone: a caller
 * who runs this program by hand gains what running HELPER by hand gives.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COMM = 3 };

/* Callers read our inherited stdout and stderr to their end, or wait for a pipe of
 * theirs to close: whatever stayed open here would keep them waiting for ever. The comm
 * socket may be one of fds 0-2, hence it is moved out of the way first. */
static int keep_only(int comm_fd)
{
	int null;

	if (dup2(comm_fd, COMM) < 0)
		return -1;
	null = open("/dev/null", O_RDWR);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(null, fd) < 0)
			return -1;
	return close_range(COMM + 1, ~0U, 0);
}

/* A terminal's signals, and the SIGTERM that a service manager sends to everything it
 * started, reach server and guard alike: the guard must outlive the server to be of
 * use. Ignored rather than blocked: nothing stays pending for the helper to die of. */
static void ignore_signals(void)
{
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
}

/* What the peer says is read and dropped, else its sends would block one day. End of
 * file is taken from poll: a SEQPACKET message of no bytes looks like one to recv. */
static void wait_for_hangup(void)
{
	struct pollfd comm = { .fd = COMM, .events = POLLIN | POLLRDHUP };
	char dropped[64];

	while (poll(&comm, 1, -1) == 1 && comm.revents == POLLIN)
		if (recv(COMM, dropped, sizeof(dropped), MSG_DONTWAIT) < 0)
			return;
}

static int number_of(const char *digits)
{
	int number = 0;

	while (*digits >= '0' && *digits <= '9' && number < 1 << 24)
		number = 10 * number + (*digits++ - '0');
	return *digits == '\0' ? number : -1;
}

int main(int argc, char **argv)
{
	static char dead_mount[sizeof("--dead-mount=") + 20] = "--dead-mount=";
	static char *environment[] = { NULL };

	if (argc != 6 || strlen(argv[4]) > 20)
		return 1;
	ignore_signals();
	setsid(); /* fails for the leader of a process group: its terminal is then ignored only */
	if (keep_only(number_of(argv[3])) < 0 || chdir("/") < 0)
		return 1;
	wait_for_hangup();

	strcat(dead_mount, argv[4]);
	char *command[] = { argv[2], "--unmount", "--lazy", "--quiet", dead_mount, "--",
		argv[5], NULL };
	execve(argv[1], command, environment); /* which resets the signals ignored above */
	return 1;
}
