/*
 * descriptors: which of the caller's file descriptors the launcher lets through.
 * SPDX-License-Identifier: MIT
 *
 * Each function returns -1, with errno, where it cannot keep its promise.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The interpreter dies of a directory, and of a descriptor that names without opening.
 * A look-up that begins at what is no directory ends there, whatever file system it is
 * on; to fstat() the caller's own FUSE mount would answer root with EACCES. */
static int is_stream(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_PATH) && faccessat(fd, ".", F_OK, 0) < 0 && errno == ENOTDIR;
}

/* A closed fd 0, 1 or 2 would be given to the next file that is opened, and an error
 * message would then be written into that file, as root. */
static int fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (is_stream(fd))
			continue;
		close(fd); /* open() returns the lowest free number: this one */
		if (open("/dev/null", O_RDWR) != fd)
			return -1;
	}
	return 0;
}

/* Let one descriptor survive the exec; a number that names none is the helper's to refuse. */
static void keep_descriptor(const char *number)
{
	size_t digits = number ? strspn(number, "0123456789") : 0;

	if (digits && digits <= strlen("2147483647") && number[digits] == '\0')
		fcntl((int)strtol(number, NULL, 10), F_SETFD, 0);
}

/* What follows "--comm-fd", or an abbreviation getopt_long takes for it: "" or "=VALUE". */
static const char *after_comm_fd_option(const char *argument)
{
	size_t length = strcspn(argument, "=");

	if (length < strlen("--c") || strncmp(argument, "--comm-fd", length))
		return NULL;
	return argument + length;
}

/* Whitelist: of everything above fd 2 only the comm socket reaches the helper, so no
 * descriptor of the caller can stand where the helper expects one of its own, and none
 * takes the place of one that it has to open. Marking all close-on-exec, then clearing the
 * mark, needs no list of what to keep. Of several numbers the helper reads the last. */
static int keep_only_comm_socket(char **argv, const char *comm_fd)
{
	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	for (char **argument = argv + 1; *argument && strcmp(*argument, "--"); argument++) {
		const char *rest = after_comm_fd_option(*argument);

		if (rest)
			comm_fd = *rest == '=' ? rest + 1 : argument[1];
	}
	keep_descriptor(comm_fd);
	return 0;
}
