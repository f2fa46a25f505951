/*
 * answers: the questions that the front answers by itself. SPDX-License-Identifier: MIT
 *
 *     at_once -> answer_at_once -> _start, the C library's, if nothing was asked
 *
 * A FUSE library asks --help and --features before each of its mounts. So these cost no
 * interpreter, and, as the C library's start is most of what is left (0.3 of 0.5 ms), nor
 * that: this runs first, without one. Nothing is relocated yet: no function but those here
 * may be called, and no pointer stand in a table. On processors that bare.h does not know
 * the helper answers, in the same words (words.py).
 *
 * The command line is read as the helper reads it (request.py). Where a word before the
 * question is wrong, it is the helper that says so.
 */
#include <asm/errno.h>
#include <asm/signal.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/time.h>
#include <linux/wait.h>
#include <stddef.h>

#define CALLS_ONLY
#include "bare.h"

enum question { NO_QUESTION, ASKS_HELP, ASKS_VERSION, ASKS_MASK, ASKS_NAMES };

#include "words.h"

enum { STDOUT = 1, MESSAGE_SECONDS = 1, SLACK = 50000 };
enum { COUNT = sizeof(OPTIONS) / sizeof(OPTIONS[0]) };

/* The program's entry. What the kernel has put on the stack is for _start to find again. */
#if defined(__x86_64__)
__asm__(".globl at_once\n"
	"at_once: mov %rsp, %rbx\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call answer_at_once\n"
	"	mov %rbx, %rsp\n"
	"	xor %edx, %edx\n"
	"	jmp _start\n");
#else
__asm__(".globl at_once\n"
	"at_once: mov x19, sp\n"
	"	mov x0, sp\n"
	"	bl answer_at_once\n"
	"	mov sp, x19\n"
	"	mov x0, #0\n"
	"	b _start\n");
#endif

static int equal(const char *one, const char *other)
{
	while (*one && *one == *other)
		one++, other++;
	return *one == *other;
}

/* The one option whose name begins like this, up to its end or "=", where `value` points. */
static const struct option *long_option(const char *word, const char **value)
{
	const struct option *found = NULL;
	size_t length = 0;

	while (word[length] && word[length] != '=')
		length++;
	*value = word[length] ? word + length + 1 : NULL;
	for (int i = 0; i < COUNT; i++) {
		size_t same = 0;

		while (same < length && OPTIONS[i].name[same] == word[same])
			same++;
		if (same < length)
			continue;
		if (found)
			return NULL;
		found = &OPTIONS[i];
	}
	return found;
}

static const struct option *short_option(char letter)
{
	for (int i = 0; i < COUNT; i++)
		if (OPTIONS[i].letter == letter)
			return &OPTIONS[i];
	return NULL;
}

/* The first question, if every word before it is right; what stands behind is not looked at. */
static int question_in(char **word)
{
	while (*word && *++word) {
		const char *letter = *word + 1, *value = NULL;
		const struct option *option;

		if (**word != '-' || !*letter)
			continue; /* an operand, which may stand anywhere */
		if (*letter == '-') {
			if (!letter[1] || !(option = long_option(letter + 1, &value)))
				return NO_QUESTION;
			if (option->argument == NO_ARGUMENT && value)
				return NO_QUESTION;
			if (option->argument == REQUIRED_ARGUMENT && !value && !*++word)
				return NO_QUESTION;
			if (option->question == ASKS_MASK && value)
				return equal(value, "text") ? ASKS_NAMES : ASKS_HELP;
			if (option->question != NO_QUESTION)
				return option->question;
			continue;
		}
		for (; *letter; letter++) {
			option = short_option(*letter);
			if (!option || option->question != NO_QUESTION)
				return option ? option->question : NO_QUESTION;
			if (option->argument == NO_ARGUMENT)
				continue;
			if (!letter[1] && !*++word)
				return NO_QUESTION;
			break;
		}
	}
	return NO_QUESTION;
}

/* What is written begins with the caller's words, and may go to a file of /proc that obeys
 * whoever writes to it with root's rights: they are given up first. */
static int leave_root(void)
{
	long uid = call(SYS_getuid, 0, 0, 0, 0), gid = call(SYS_getgid, 0, 0, 0, 0);

	return call(SYS_setresgid, gid, gid, gid, 0) < 0 || call(SYS_setresuid, uid, uid, uid, 0) < 0
		? -1 : 0;
}

/* What survives exec and could keep us from ending in time, with 0 or 1: see inherited.h.
 * SIGCHLD stays blocked, to be waited for. */
static void reset_inherited(void)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL }, ignore = { .sa_handler = SIG_IGN };
	const unsigned long blocked = 1UL << (SIGCHLD - 1);

	call(SYS_rt_sigaction, SIGPIPE, (long)&ignore, 0, sizeof(blocked));
	call(SYS_rt_sigaction, SIGXFSZ, (long)&ignore, 0, sizeof(blocked));
	call(SYS_rt_sigaction, SIGCHLD, (long)&standard, 0, sizeof(blocked));
	call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&blocked, 0, sizeof(blocked));
	call(SYS_prctl, PR_SET_TIMERSLACK, SLACK, 0, 0);
}

/* Both, one behind the other, as much as the other side takes. Who does not read within a
 * second misses the rest. */
static void write_patiently(const char *name, const char *words)
{
	char chunk[PIPE_BUF]; /* poll says writable when so much can be written without waiting */
	size_t filled = 0;

	for (;;) {
		struct pollfd out = { .fd = STDOUT, .events = POLLOUT };
		struct timespec patience = { .tv_sec = MESSAGE_SECONDS };
		long written;

		while (filled < sizeof(chunk) && (*name || *words))
			chunk[filled++] = *name ? *name++ : *words++;
		if (!filled || call(SYS_ppoll, (long)&out, 1, (long)&patience, 0) <= 0)
			return;
		written = call(SYS_write, STDOUT, (long)chunk, (long)filled, 0);
		if (written < 0)
			return;
		filled -= (size_t)written;
		for (size_t i = 0; i < filled; i++)
			chunk[i] = chunk[i + (size_t)written];
	}
}

/* Nothing that happens to a message changes the outcome. Poll says nothing of a file, which
 * may lie on a file system that does not answer, even to be asked what it is; and before
 * Linux 6.9 a write to an eventfd may block although poll promised otherwise. So a child
 * waits for those, and ends with us. */
static void say(const char *name, const char *words)
{
	const struct timespec patience = { .tv_sec = MESSAGE_SECONDS };
	const unsigned long its_end = 1UL << (SIGCHLD - 1);
	long child = -1;

	if (call(SYS_lseek, STDOUT, 0, SEEK_CUR, 0) >= 0)
		child = call(SYS_clone, SIGCHLD, 0, 0, 0);
	if (child > 0) {
		while (call(SYS_wait4, child, 0, WNOHANG, 0) == 0)
			if (call(SYS_rt_sigtimedwait, (long)&its_end, 0, (long)&patience, sizeof(its_end)) < 0)
				return;
		return;
	}
	if (child == 0)
		call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
	write_patiently(name, words); /* by ourselves, too, where there may be no other process */
	if (child == 0)
		call(SYS_exit_group, 0, 0, 0, 0);
}

/* Asked without a name, so that nothing is opened for anybody: EPERM or EFAULT where it is. */
static int has_fsopen(void)
{
	return call(SYS_fsopen, 0, 0, 0, 0) != -ENOSYS;
}

void answer_at_once(long *stack);
void answer_at_once(long *stack)
{
	char **argv = (char **)(stack + 1);
	int question = question_in(argv);

	if (question == NO_QUESTION)
		return;
	if (leave_root() == 0) {
		reset_inherited();
		if (question == ASKS_HELP)
			say(argv[0], USAGE);
		else if (question == ASKS_VERSION)
			say("", VERSION);
		else if (question == ASKS_MASK)
			say("", has_fsopen() ? MASK : MASK_OF_NONE);
		else
			say("", has_fsopen() ? NAMES : NAMES_OF_NONE);
		if (question != ASKS_HELP)
			call(SYS_exit_group, 0, 0, 0, 0);
	}
	call(SYS_exit_group, 1, 0, 0, 0);
}
