/*
 * fusermount3: the setuid front of fusermount_py. SPDX-License-Identifier: MIT
 *
 * The kernel ignores the setuid bit on scripts, so this program carries it. It
 * decides nothing about mounts. It replaces what the caller chose about the new
 * process (descriptors, environment, signals, umask, clocks, soft limits) by what we
 * choose, then becomes the interpreter, whose first act is to give the caller's ids
 * back. A question that needs no interpreter has been answered before main(): answers.c.
 *
 *     PYTHON -I -S -B -Xutf8 ENTRY <argv[0] as given> <arguments...>
 *
 * PYTHON and ENTRY are absolute paths fixed at build time. No id is changed, but to fail, and
 * no name looked up here: whoever starts us without the setuid bit gets the same program with
 * the rights they already had. Linked statically: no dynamic loader runs between the setuid bit
 * and main(), and it starts a quarter sooner (0.96 ms against 1.22 to the end of its child).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptors.h"
#include "inherited.h"
#include "limits.h"

/* One sentence, exit 1, also when it cannot be written: the caller may have closed the
 * other end of fd 2, so SIGPIPE must not decide the exit status. The name is the caller's
 * words, and fd 2 may be a file of /proc that obeys whoever writes to it with root's
 * rights: nothing is written before they are gone. */
static _Noreturn void fail(const char *name, const char *what)
{
	int why = errno;
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	dprintf(STDERR_FILENO, "%s: %s: %s\n", name, what, strerror(why));
	_exit(1);
}

/* Whitelist: the environment is built from nothing, and of a name given twice only the
 * first is passed. FUSE_KERN_DEVICE chooses the device, hence the real user must be root.
 * Returns the comm socket's number, or NULL. */
static const char *rebuild_environment(char **kept)
{
	static const char *const names[] = { "_FUSE_COMMFD", "_FUSE_REPORT",
		"_FUSE_PROCEED_TIMEOUT", "_FUSE_INIT_TIMEOUT", "FUSE_KERN_DEVICE" };
	size_t count = sizeof(names) / sizeof(names[0]) - (getuid() == 0 ? 0 : 1);

	for (size_t i = 0; i < count; i++) {
		char *value = getenv(names[i]);

		if (value) /* it lies behind "NAME=" in the caller's own string */
			*kept++ = value - strlen(names[i]) - 1;
	}
	*kept = NULL;
	return getenv("_FUSE_COMMFD");
}

int main(int argc, char **argv)
{
	static char *isolated[] = { PYTHON, "-I", "-S", "-B", "-Xutf8", ENTRY };
	const size_t front = sizeof(isolated) / sizeof(isolated[0]);
	char *kept[6], **command;

	if (argc < 1) /* everything below walks argv from its second element on */
		_exit(1);
	if (raise_soft_limits() < 0) {
		errno = ENOMEM;
		fail(argv[0], "a resource limit (ulimit) leaves no room for " PYTHON);
	}
	if (fill_standard_descriptors() < 0)
		fail(argv[0], "cannot open /dev/null");
	if (keep_only_comm_socket(argv, rebuild_environment(kept)) < 0)
		fail(argv[0], "cannot close inherited descriptors");
	reset_signals();
	reset_clocks();
	umask(022); /* what the helper creates is never writable by others */

	/* On the heap, since the caller limits the stack and chooses how many arguments. */
	command = calloc(front + (size_t)argc + 1, sizeof(*command));
	if (!command)
		fail(argv[0], "cannot start " PYTHON);
	memcpy(command, isolated, sizeof(isolated));
	memcpy(command + front, argv, (size_t)argc * sizeof(*command));
	/* The interpreter's argv[0] is the fixed path: it searches for its library, and for a
	 * pyvenv.cfg, beside the name it is called by, and that name was the caller's choice. */
	execve(PYTHON, command, kept);
	fail(argv[0], "cannot execute " PYTHON);
}
