/*
 * System calls, and a program's entry, without a C library. SPDX-License-Identifier: MIT
 *
 * A C library's loader and start-up code dirty some 90 kB in each process before main().
 * A program without one that only waits has 12 kB in all (Pss), where the C fusermount3
 * has 310 kB. Elsewhere than on x86-64 and arm64 the same source uses the C library.
 *
 * A program that includes this defines run(argc, argv), which returns its exit status; with
 * CALLS_ONLY it has an entry of its own.
 */
#ifndef BARE_H
#define BARE_H

#include <sys/syscall.h>

#ifndef CALLS_ONLY
static int run(long argc, char **argv);
#endif

#if defined(__x86_64__) || defined(__aarch64__)

/* The kernel's answer: a result, or a negated errno. */
static long call(long number, long first, long second, long third, long fourth)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = fourth;
	register long r8 __asm__("r8") = 0;
	register long r9 __asm__("r9") = 0;
	long result = number;

	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#else
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = first;
	register long x1 __asm__("x1") = second;
	register long x2 __asm__("x2") = third;
	register long x3 __asm__("x3") = fourth;
	register long x4 __asm__("x4") = 0;
	register long x5 __asm__("x5") = 0;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#endif
}

#ifndef CALLS_ONLY
/* At entry the stack pointer is at argc, with argv above; C wants it aligned to 16 bytes. */
#if defined(__x86_64__)
__asm__(".globl _start\n"
	"_start: mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start\n");
#else
__asm__(".globl _start\n"
	"_start: mov x0, sp\n"
	"	bl start\n");
#endif

_Noreturn void start(long *stack);
_Noreturn void start(long *stack)
{
	long status = run(stack[0], (char **)(stack + 1));

	for (;;)
		call(SYS_exit_group, status, 0, 0, 0);
}
#endif

#else

long syscall(long number, ...);

static long call(long number, long first, long second, long third, long fourth)
{
	return syscall(number, first, second, third, fourth, 0L, 0L);
}

int main(int argc, char **argv)
{
	return run(argc, argv);
}

#endif
#endif
