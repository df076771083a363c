/* Steps at which tests let a process die or stop.
 *
 * RESV_CRASH_POINT(name) is no code in everything but resvd-crash, which tests/meson.build builds
 * with RESVD_CRASH_POINTS: there RESVD_CRASH_AT and RESVD_STOP_AT in the environment say at which
 * of them, and tests/support/crash_point.c says how. */
#ifndef RESVD_CRASH_POINT_H
#define RESVD_CRASH_POINT_H

#ifdef RESVD_CRASH_POINTS
void resv_crash_point(const char *name);
#define RESV_CRASH_POINT(name) resv_crash_point(#name)
#else
#define RESV_CRASH_POINT(name) ((void)0)
#endif

#endif
