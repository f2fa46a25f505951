/*
 * limits: what the launcher changes of the caller's resource limits, and of root's powers.
 * SPDX-License-Identifier: MIT
 */
#include <linux/capability.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* With less than `needed` the interpreter dies without a sentence. Limits bound single
 * processes, so they keep nobody from anything who may start many: raising a helper's gives
 * nothing away. RLIMIT_NPROC stays: it counts all processes of a user, hence the helpers
 * that one user can have waiting. Root of a container may have no right to raise: -1 then,
 * if too little is left. */
static int raise_limits(void)
{
	static const struct { int resource; rlim_t needed, wanted; } floors[] = {
		{ RLIMIT_AS, 32 << 20, 512 << 20 }, { RLIMIT_DATA, 16 << 20, 256 << 20 },
		{ RLIMIT_STACK, 1 << 20, 8 << 20 }, { RLIMIT_NOFILE, 24, 64 },
		{ RLIMIT_FSIZE, 0, RLIM_INFINITY }, { RLIMIT_CPU, 0, RLIM_INFINITY },
	};
	struct rlimit limit = { 0, 0 };

	setrlimit(RLIMIT_CORE, &limit); /* our memory is never written to the caller's disk */
	for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++) {
		getrlimit(floors[i].resource, &limit);
		if (limit.rlim_cur >= floors[i].wanted)
			continue;
		limit.rlim_cur = floors[i].wanted;
		if (limit.rlim_max < floors[i].wanted) {
			const struct rlimit raised = { floors[i].wanted, floors[i].wanted };

			if (setrlimit(floors[i].resource, &raised) == 0)
				continue;
			limit.rlim_cur = limit.rlim_max;
		}
		setrlimit(floors[i].resource, &limit);
		if (limit.rlim_cur < floors[i].needed)
			return -1;
	}
	return 0;
}

/* Of root's powers an ordinary caller's helper needs five: to mount, to take ids, and, to
 * write a record as root, to give up the rest. What leaves the bounding set here no exec can
 * bring back: neither the interpreter's, nor the guard's, which starts this program again. */
static void shrink_bounding_set(void)
{
	const unsigned long long kept = 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_SETUID |
		1ULL << CAP_SETGID | 1ULL << CAP_SETPCAP | 1ULL << CAP_SYS_RESOURCE;

	for (unsigned long capability = 0; capability < 64; capability++)
		if (!(kept >> capability & 1))
			prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}
