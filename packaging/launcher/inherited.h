/*
 * inherited: what else survives an exec, and is reset (SECURITY.md, "What survives exec").
 * SPDX-License-Identifier: MIT
 *
 * Only what could keep the helper, or root's scribe, from ending in time and in our words;
 * all of it the caller could set for itself, so the guard gives its user nothing.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

/* Ignored and blocked signals survive exec: with SIGCHLD ignored no child's status can
 * be had, with SIGALRM blocked no clock ends a wait. A signal kept pending by the
 * caller's mask arrives now, before anything has been done. SIGINT waits until main()
 * has taken the interpreter's handler away, whose answer would be a traceback. */
static void reset_signals(void)
{
	sigset_t interrupt;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* refused for KILL, STOP and libc's own two */
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_SETMASK, &interrupt, NULL);
}

static void reset_clocks(void)
{
	/* With a slack of hours no clock of ours would ever ring. 0 would ask for the slack
	 * that this process began with, which is its parent's choice. */
	prctl(PR_SET_TIMERSLACK, 50000, 0, 0, 0);
	/* The C library would die of SIGSEGV when it reads the processor's clock. */
	prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);
}
