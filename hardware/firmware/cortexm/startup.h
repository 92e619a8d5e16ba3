/*
 * What happens before main, and when something goes wrong.
 *
 * A board that has stopped looks like one that was unplugged: nobody would look for the cause. So
 * whatever goes wrong (a fault, an interrupt nobody expects, a broken assumption, a main loop that
 * hangs) is written down where it lives through a reset, and the board starts again after a
 * quarter of a second. The receiver sees a restart, which is a gap with a reason, and the
 * description it gets then ends with what happened: "1.0 fault 3 at 00000c1e".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STARTUP_H
#define STARTUP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STARTUP_NAME_BYTES 32u /* what a description has room for, and its end */

/* Write the name of the firmware to text[STARTUP_NAME_BYTES], and what ended its last run. */
void startup_name(char *text, const char *firmware);
/* An assumption is broken: start again, and say where this was called. */
void startup_broken(void) __attribute__((noreturn));
/* Call at least every two seconds: the main loop still runs. */
void startup_alive(void);

#ifdef __cplusplus
}
#endif
#endif
