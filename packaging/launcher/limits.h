/*
 * limits: what the launcher changes of the caller's resource limits.
 * SPDX-License-Identifier: MIT
 *
 * A hard limit is the administrator's, and what becomes of this process may be its user's
 * own: the guard can be traced by its user, who then runs code in it. So no hard limit is
 * raised here, though root could. From soft to hard the user may go anyway.
 */
#include <stddef.h>
#include <sys/resource.h>

/* With less than `needed` the interpreter dies without a sentence, or a mount does without
 * a descriptor that it counts on: -1 then. RLIMIT_NPROC stays: it counts all processes of a
 * user, hence the helpers that one user can have waiting. */
static int raise_soft_limits(void)
{
	static const struct { int resource; rlim_t needed, wanted; } floors[] = {
		{ RLIMIT_AS, 32 << 20, 512 << 20 }, { RLIMIT_DATA, 16 << 20, 256 << 20 },
		{ RLIMIT_STACK, 1 << 20, 8 << 20 }, { RLIMIT_NOFILE, 12, 64 },
		{ RLIMIT_FSIZE, 0, RLIM_INFINITY }, { RLIMIT_CPU, 0, RLIM_INFINITY },
	};
	struct rlimit limit = { 0, 0 };

	setrlimit(RLIMIT_CORE, &limit); /* our memory is never written to the caller's disk */
	for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++) {
		getrlimit(floors[i].resource, &limit);
		if (limit.rlim_cur >= floors[i].wanted)
			continue;
		limit.rlim_cur = floors[i].wanted < limit.rlim_max ? floors[i].wanted : limit.rlim_max;
		setrlimit(floors[i].resource, &limit);
		if (limit.rlim_cur < floors[i].needed)
			return -1;
	}
	return 0;
}
